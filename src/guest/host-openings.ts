import { errnoName } from './answers.ts';
import { GuestProtocolError } from './guest-agent.ts';
import type { StreamChannel } from './stream-channel.ts';
import { frame, u32 } from './wire.ts';

/** What the session needs of a stream, whatever it carries. */
export interface SessionStream {
  readonly id: number;
  /** Bytes that the guest may have under way on it from the beginning. */
  readonly window: number;
  /** The guest accepted it and grants its first window. @throws {StreamViolation} */
  opened(window: Buffer): void;
  /** @throws {StreamViolation} */
  receive(type: number, payload: Buffer): void;
  /** The session ended under it. */
  sever(error: Error): void;
  /** Nobody wants it any more: ends it and lets the guest know. */
  destroy(): unknown;
}

/** The guest would not open a stream. */
export class OpenRefused extends Error {
  override readonly name = 'OpenRefused';
  readonly errno: string;

  constructor(errno: string) {
    super(errno);
    this.errno = errno;
  }
}

interface Opening {
  readonly stream: SessionStream;
  resolve(): void;
  reject(error: Error): void;
}

/** Streams that the host opens. */
export class HostOpenings {
  readonly #channel: Pick<StreamChannel, 'send'>;
  readonly #opening = new Map<number, Opening>();
  readonly #streams = new Map<number, SessionStream>();
  /** They have odd numbers; the even ones are the guest's. */
  #nextId = 1;
  #over: Error | undefined;

  constructor(channel: Pick<StreamChannel, 'send'>) {
    this.#channel = channel;
  }

  claimId(): number {
    const id = this.#nextId;
    this.#nextId = id + 2 > 0xffff_ffff ? 1 : id + 2;
    return id;
  }

  /**
   * @throws {OpenRefused}
   * @throws the reason of `signal`, or of the session's end
   */
  async open(
    stream: SessionStream,
    kind: number,
    body: Buffer,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (signal?.aborted === true) stream.sever(reasonOf(signal));
    signal?.throwIfAborted();
    if (this.#over !== undefined) throw this.#over;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#opening.set(stream.id, { stream, resolve, reject });
    const onAbort = (): void => {
      this.#opening.delete(stream.id);
      this.#streams.set(stream.id, stream);
      stream.destroy();
      reject(reasonOf(signal));
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#channel.send(stream.id, frame.open, Buffer.concat([Buffer.of(kind), u32(stream.window), body]));
    try {
      await promise;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** @throws {GuestProtocolError} or {@link StreamViolation} */
  receive(id: number, type: number, payload: Buffer): void {
    const opening = this.#opening.get(id);
    if (opening !== undefined) this.#answered(id, type, payload, opening);
    // A stream the host has given up may still be spoken of.
    else this.#streams.get(id)?.receive(type, payload);
  }

  forget(id: number): void {
    this.#streams.delete(id);
  }

  /** The session is over. */
  end(error: Error): void {
    this.#over = error;
    for (const opening of this.#opening.values()) opening.reject(error);
    for (const stream of [...this.#streams.values()]) stream.sever(error);
    this.#opening.clear();
    this.#streams.clear();
  }

  #answered(id: number, type: number, payload: Buffer, opening: Opening): void {
    this.#opening.delete(id);
    if (type === frame.opened) {
      this.#streams.set(id, opening.stream);
      opening.stream.opened(payload);
      opening.resolve();
    } else if (type === frame.failed && payload.length === 4) {
      const refused = new OpenRefused(errnoName(payload.readUInt32LE(0)));
      opening.stream.sever(refused);
      opening.reject(refused);
    } else {
      throw new GuestProtocolError('a stream began in the middle');
    }
  }
}

function reasonOf(signal: AbortSignal | undefined): Error {
  return signal?.reason instanceof Error ? signal.reason : new Error('aborted');
}
