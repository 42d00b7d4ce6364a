import { EventEmitter } from 'node:events';
import type net from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import { VmmError } from '../vmm.ts';

const maximumLineLength = 1 << 20;

/** QEMU refused a command, broke the protocol, or went away. */
export class QmpError extends VmmError {
  override readonly name: string = 'QmpError';
}

/** QEMU answered a command with an error: it was understood and not done. */
export class QmpRefusedError extends QmpError {
  override readonly name = 'QmpRefusedError';
}

export interface QmpEvent {
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** A client of the QEMU Machine Protocol over a connected socket, which it owns. */
export class QmpClient {
  /** Settles when the connection is over; never rejects. */
  readonly closed: Promise<void>;
  readonly #socket: net.Socket;
  readonly #events = new EventEmitter<{ event: [QmpEvent] }>();
  readonly #pending = new Map<number, Pending>();
  readonly #greeting: Promise<unknown>;
  #buffer = '';
  #nextId = 1;
  #failure: QmpError | undefined;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    this.#events.setMaxListeners(0);
    const decoder = new StringDecoder('utf8');
    const greeting = Promise.withResolvers<unknown>();
    this.#pending.set(0, greeting);
    this.#greeting = greeting.promise;
    this.#greeting.catch(() => undefined);
    const closed = Promise.withResolvers<void>();
    this.closed = closed.promise;
    socket.on('data', (chunk: Buffer) => this.#receive(decoder.write(chunk)));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#fail(new QmpError('QEMU closed its control connection'));
      closed.resolve();
    });
    // A live VM alone does not keep the server's process running; a command in progress does, by its timer.
    socket.unref();
  }

  /** Takes the socket over and negotiates; commands may be sent once this resolves. */
  static async open(socket: net.Socket, timeoutMs = 10_000): Promise<QmpClient> {
    const client = new QmpClient(socket);
    try {
      await client.#within(client.#greeting, timeoutMs, 'greeting');
      await client.execute('qmp_capabilities', undefined, timeoutMs);
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /**
   * Runs one command.
   * @throws {QmpError} QEMU answered with an error, too late, or not at all
   */
  async execute(
    command: string,
    args?: Readonly<Record<string, unknown>>,
    timeoutMs = 30_000,
  ): Promise<unknown> {
    if (this.#failure !== undefined) throw this.#failure;
    const id = this.#nextId++;
    const answer = Promise.withResolvers<unknown>();
    this.#pending.set(id, answer);
    this.#socket.write(`${JSON.stringify({ execute: command, id, ...(args && { arguments: args }) })}\n`);
    try {
      return await this.#within(answer.promise, timeoutMs, command);
    } catch (error) {
      if (error instanceof QmpRefusedError) throw new QmpRefusedError(`${command}: ${error.message}`);
      if (error instanceof QmpError) throw new QmpError(`${command}: ${error.message}`);
      throw error;
    } finally {
      this.#pending.delete(id);
    }
  }

  /**
   * Waits for an event that `select` accepts. Subscribe before sending the command that causes it.
   * @throws {QmpError} it did not come in time or the connection ended
   */
  async waitFor(select: (event: QmpEvent) => boolean, timeoutMs: number): Promise<QmpEvent> {
    if (this.#failure !== undefined) throw this.#failure;
    const found = Promise.withResolvers<QmpEvent>();
    const listener = (event: QmpEvent): void => {
      if (select(event)) found.resolve(event);
    };
    this.#events.on('event', listener);
    const over = this.closed.then(() => {
      throw this.#failure ?? new QmpError('QEMU closed its control connection');
    });
    try {
      return await this.#within(Promise.race([found.promise, over]), timeoutMs, 'event');
    } finally {
      this.#events.off('event', listener);
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  async #within<T>(promise: Promise<T>, timeoutMs: number, what: string): Promise<T> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new QmpError(`no ${what} within ${timeoutMs} ms`)), timeoutMs);
    try {
      return await Promise.race([promise, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  #receive(text: string): void {
    this.#buffer += text;
    for (let end = this.#buffer.indexOf('\n'); end >= 0; end = this.#buffer.indexOf('\n')) {
      const line = this.#buffer.slice(0, end);
      this.#buffer = this.#buffer.slice(end + 1);
      if (line.trim() !== '') this.#dispatch(line);
    }
    if (this.#buffer.length > maximumLineLength) this.#fail(new QmpError('QEMU sent an endless line'));
  }

  #dispatch(line: string): void {
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch {
      this.#fail(new QmpError('QEMU sent a line that is not JSON'));
      return;
    }
    if (!isRecord(message)) return;
    if ('QMP' in message) {
      this.#pending.get(0)?.resolve(message.QMP);
      return;
    }
    if (typeof message.event === 'string') {
      const data = message.data;
      this.#events.emit('event', { name: message.event, data: isRecord(data) ? data : {} });
      return;
    }
    const pending = typeof message.id === 'number' ? this.#pending.get(message.id) : undefined;
    if ('error' in message) {
      const error = message.error;
      pending?.reject(new QmpRefusedError(isRecord(error) ? String(error.desc) : 'refused'));
    } else {
      pending?.resolve(message.return);
    }
  }

  #fail(error: QmpError): void {
    this.#failure ??= error;
    for (const pending of this.#pending.values()) pending.reject(this.#failure);
    this.#pending.clear();
    this.#socket.destroy();
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
