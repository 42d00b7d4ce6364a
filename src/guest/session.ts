import type { Duplex } from 'node:stream';
import type { DatagramChannel, DatagramListener } from '../model/datagrams.ts';
import type { EgressHandler } from '../model/guest-egress.ts';
import { decodeAppStatus, decodePorts, decodeStats, errnoName } from './answers.ts';
import { greet } from './greeting.ts';
import {
  type AppSpec,
  type AppStatus,
  ExecError,
  type ExecSession,
  type ExecSpec,
  type GuestAgent,
  GuestAsleepError,
  GuestConnectError,
  type GuestIdentity,
  GuestProtocolError,
  type GuestStats,
  type LogListener,
} from './guest-agent.ts';
import { GuestDatagramStream } from './guest-datagrams.ts';
import { GuestOpenings } from './guest-openings.ts';
import { GuestProcess } from './guest-process.ts';
import { GuestStream, type GuestStreamOptions } from './guest-stream.ts';
import { HostOpenings, OpenRefused, type SessionStream } from './host-openings.ts';
import { IncomingFrames } from './incoming-frames.ts';
import { encodeApp, encodeExec, encodeName } from './process-fields.ts';
import type { StreamChannel } from './stream-channel.ts';
import { Windows } from './windows.ts';
import { encodeFrame, frame, operation, streamKind, u32 } from './wire.ts';

const requestTimeoutMs = 60_000;
/** How wrong the clock of a guest may be at most after its host has set it. */
const clockErrorMs = 20;
/** A description longer than a frame goes in parts of this size. */
const partBytes = 16 * 1024;

export interface OpenOptions {
  readonly helloTimeoutMs: number;
}

/**
 * Opens a session with a guest's agent over a fresh connection to its channel.
 * @throws {GuestProtocolError} the guest did not answer in time, or not as an agent
 */
export async function openGuestAgent(transport: Duplex, options: OpenOptions): Promise<GuestAgent> {
  // Until the session listens itself; an error is followed by a close.
  transport.on('error', () => undefined);
  const rest = await greet(transport, options.helloTimeoutMs);
  const session = new GuestSession(transport);
  await session.begin(rest, options.helloTimeoutMs);
  return session;
}

interface Pending<Value> {
  resolve(value: Value): void;
  reject(error: Error): void;
}

class GuestSession implements GuestAgent, StreamChannel {
  build = '';
  readonly closed: Promise<void>;
  readonly #transport: Duplex;
  readonly #incoming: IncomingFrames;
  readonly #settleClosed: () => void;
  readonly #requests = new Map<number, Pending<Buffer>>();
  readonly #openings = new HostOpenings(this);
  readonly #windows = new Windows();
  readonly #guestOpenings = new GuestOpenings(this, this.#windows);
  readonly #exit = Promise.withResolvers<Extract<AppStatus, { state: 'exited' }>>();
  readonly #introduced = Promise.withResolvers<void>();
  readonly #unread: Parameters<LogListener>[] = [];
  /** Bytes of output that were dropped before anybody listened. */
  #unreadLost = 0;
  #logListener: LogListener | undefined;
  #nextRequest = 1;
  /** Who waits for room in the channel, in the order of asking. */
  readonly #draining = new Set<() => void>();
  #hasIntroduced = false;
  #over = false;

  constructor(transport: Duplex) {
    this.#transport = transport;
    this.#incoming = new IncomingFrames(transport, {
      onFrame: (stream, type, payload) => this.#onFrame(stream, type, payload),
      onEnd: (reason) => this.#end(reason),
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#settleClosed = resolve;
    this.#exit.promise.catch(() => undefined);
    this.#introduced.promise.catch(() => undefined);
  }

  /** Reads the guest's introduction. */
  async begin(rest: Buffer, timeoutMs: number): Promise<void> {
    this.#transport.on('drain', () => this.#onDrain());
    const timer = setTimeout(
      () => this.#end(new GuestProtocolError('the guest agent did not introduce itself')),
      timeoutMs,
    );
    this.#incoming.begin(rest);
    try {
      await this.#introduced.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  async startApp(spec: AppSpec): Promise<void> {
    const fields = encodeApp(spec);
    for (let at = 0; at < fields.length; at += partBytes) {
      await this.#request(operation.appFields, fields.subarray(at, at + partBytes));
    }
    await this.#request(operation.startApp);
  }

  async appStatus(): Promise<AppStatus> {
    return decodeAppStatus(await this.#request(operation.appStatus));
  }

  appExit(): Promise<Extract<AppStatus, { state: 'exited' }>> {
    return this.#exit.promise;
  }

  onLog(listener: LogListener, onLost: (bytes: number) => void): void {
    this.#logListener = listener;
    if (this.#unreadLost > 0) onLost(this.#unreadLost);
    for (const entry of this.#unread.splice(0)) listener(...entry);
  }

  async connect(port: number, signal?: AbortSignal, onTraffic?: () => void): Promise<Duplex> {
    const stream = new GuestStream(this.#streamOptions(onTraffic));
    stream.on('error', () => undefined);
    return await this.#openPort(stream, streamKind.tcp, port, signal);
  }

  async associate(
    port: number,
    onDatagram: DatagramListener,
    signal?: AbortSignal,
    onTraffic?: () => void,
  ): Promise<DatagramChannel> {
    const id = this.#openings.claimId();
    const stream = new GuestDatagramStream({ id, channel: this, onDatagram, onTraffic });
    return await this.#openPort(stream, streamKind.udp, port, signal);
  }

  async exec(spec: ExecSpec, onTraffic?: () => void): Promise<ExecSession> {
    const fields = encodeExec(spec);
    const process = new GuestProcess(this.#streamOptions(onTraffic));
    process.on('error', () => undefined);
    // Sent in one go, so that nobody else's come between them: the guest adds up what comes before an opening.
    const parts: Promise<unknown>[] = [];
    let at = 0;
    for (; fields.length - at > partBytes; at += partBytes) {
      parts.push(this.#request(operation.execFields, fields.subarray(at, at + partBytes)));
    }
    const opened = this.#openings.open(process, streamKind.exec, fields.subarray(at), undefined);
    opened.catch(() => undefined);
    try {
      await Promise.all(parts);
      await opened;
      return process;
    } catch (error) {
      if (!(error instanceof OpenRefused)) throw error;
      throw new ExecError(error.errno, explain(spec, error.errno));
    }
  }

  onEgress(handler: EgressHandler): void {
    this.#guestOpenings.serve(handler);
  }

  async assumeIdentity(identity: GuestIdentity): Promise<void> {
    const { name } = identity;
    const begun = performance.now();
    // Sent together: a guest that has just been restored is slow at its first steps, and one wait is enough.
    await Promise.all([
      this.#setClock(identity),
      this.#request(operation.addEntropy, identity.entropy),
      ...(name === undefined ? [] : [this.#request(operation.setIdentity, encodeName(name))]),
      this.thaw(),
    ]);
    // The clock is behind by what its message took. The next is quicker.
    if (performance.now() - begun > clockErrorMs) await this.#setClock(identity);
  }

  async freeze(): Promise<void> {
    await this.#request(operation.freeze, Buffer.of(1));
  }

  async thaw(): Promise<void> {
    await this.#request(operation.freeze, Buffer.of(0));
  }

  async stats(): Promise<GuestStats> {
    return decodeStats(await this.#request(operation.stats));
  }

  async listeningPorts(): Promise<readonly number[]> {
    return decodePorts(await this.#request(operation.listening));
  }

  async sync(options: { readonly dropCaches: boolean }): Promise<void> {
    await this.#request(operation.sync, Buffer.of(options.dropCaches ? 1 : 0));
  }

  async quiesce(): Promise<void> {
    await this.#request(operation.quiesce);
    this.#end(new GuestAsleepError('the microVM was put to sleep'));
  }

  close(): void {
    this.#end(new GuestProtocolError('the session was closed'));
  }

  get hasRoom(): boolean {
    return this.#over || !this.#transport.writableNeedDrain;
  }

  send(stream: number, type: number, payload?: Uint8Array): boolean {
    return this.#over || this.#transport.write(encodeFrame(stream, type, payload));
  }

  drained(callback: () => void): void {
    this.#draining.add(callback);
  }

  forget(stream: number): void {
    this.#openings.forget(stream);
  }

  #streamOptions(onTraffic: (() => void) | undefined): GuestStreamOptions {
    return { id: this.#openings.claimId(), channel: this, onTraffic, window: this.#windows.open() };
  }

  async #setClock({ wallClockMs }: GuestIdentity): Promise<void> {
    const now = Buffer.alloc(8);
    now.writeBigUInt64LE(BigInt(Math.round(wallClockMs() * 1000)) * 1000n);
    await this.#request(operation.setClock, now);
  }

  /** @throws {GuestConnectError} */
  async #openPort<Stream extends SessionStream>(
    stream: Stream,
    kind: number,
    port: number,
    signal: AbortSignal | undefined,
  ): Promise<Stream> {
    const body = Buffer.alloc(2);
    body.writeUInt16LE(port);
    try {
      await this.#openings.open(stream, kind, body, signal);
      return stream;
    } catch (error) {
      throw error instanceof OpenRefused ? new GuestConnectError(port, error.errno) : error;
    }
  }

  async #request(code: number, body: Uint8Array = new Uint8Array(0)): Promise<Buffer> {
    if (this.#over) throw new GuestProtocolError('the session is over');
    const id = this.#nextRequest;
    this.#nextRequest = id === 0xffff_ffff ? 1 : id + 1;
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    this.#requests.set(id, { resolve, reject });
    const timer = setTimeout(
      () => this.#end(new GuestProtocolError('the guest agent does not answer')),
      requestTimeoutMs,
    );
    this.send(0, frame.request, Buffer.concat([u32(id), Buffer.of(code), body]));
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#requests.delete(id);
    }
  }

  #onFrame(id: number, type: number, payload: Buffer): void {
    if (id === 0) this.#onSessionFrame(type, payload);
    else if (id % 2 === 0) this.#guestOpenings.receive(id, type, payload);
    else this.#openings.receive(id, type, payload);
  }

  #onSessionFrame(type: number, payload: Buffer): void {
    switch (type) {
      case frame.reply:
        this.#onReply(payload);
        return;
      case frame.info:
        if (this.#hasIntroduced) throw new GuestProtocolError('a second introduction');
        this.#hasIntroduced = true;
        this.build = payload.subarray(9, 9 + 64).toString('latin1');
        this.#noteExit(decodeAppStatus(payload.subarray(0, 9)));
        this.#introduced.resolve();
        return;
      case frame.appExit:
        this.#noteExit(decodeAppStatus(payload));
        return;
      case frame.log:
        this.#onLog(payload);
        return;
      default:
        throw new GuestProtocolError(`a frame of type ${type} for the session`);
    }
  }

  #onReply(payload: Buffer): void {
    if (payload.length < 8) throw new GuestProtocolError('a short reply');
    const waiting = this.#requests.get(payload.readUInt32LE(0));
    const error = payload.readUInt32LE(4);
    if (error === 0) waiting?.resolve(Buffer.from(payload.subarray(8)));
    else waiting?.reject(requestFailed(errnoName(error)));
  }

  #onLog(payload: Buffer): void {
    const source = payload[0] === 1 ? 'stderr' : 'stdout';
    const bytes = payload.subarray(1);
    if (this.#logListener !== undefined) {
      this.#logListener(source, bytes);
      return;
    }
    this.#unread.push([source, Buffer.from(bytes)]);
    if (this.#unread.length > unreadLimit) this.#unreadLost += this.#unread.shift()?.[1].length ?? 0;
  }

  #noteExit(status: AppStatus): void {
    if (status.state === 'exited') this.#exit.resolve(status);
  }

  /** Each in turn gets room as long as there is some: all at once would take what is left several times over. */
  #onDrain(): void {
    for (const callback of this.#draining) {
      if (!this.hasRoom) return;
      this.#draining.delete(callback);
      callback();
    }
  }

  #end(error: GuestProtocolError): void {
    if (this.#over) return;
    this.#over = true;
    this.#incoming.stop();
    this.#transport.destroy();
    this.#introduced.reject(error);
    this.#exit.reject(error);
    for (const request of this.#requests.values()) request.reject(error);
    this.#openings.end(error);
    this.#guestOpenings.end(error);
    this.#onDrain();
    this.#settleClosed();
  }
}

/** Output of the application kept until somebody listens, in pieces of at most a frame. */
const unreadLimit = 64;

function explain({ argv, workdir, user, detach }: ExecSpec, errno: string): string {
  const group = user?.split(':')[1];
  if (errno === 'ENOTDIR' && workdir !== undefined) return `there is no directory ${workdir}`;
  if (errno === 'ESRCH' && user !== undefined) return `the image has no user ${user.split(':')[0]}`;
  if (errno === 'ENODATA' && group !== undefined) return `the image has no group ${group}`;
  if (errno === 'E2BIG') {
    return `cannot run ${argv[0]}: arguments and variables, with those of the image, are more than Linux takes`;
  }
  if (errno === 'EPROTO' && detach === true) {
    return 'the agent of this microVM is older than this server and cannot detach commands: build its image anew';
  }
  return `cannot run ${argv[0]}: ${errno}`;
}

function requestFailed(errno: string): Error {
  return Object.assign(new Error(`the guest agent could not do it: ${errno}`), { code: errno });
}
