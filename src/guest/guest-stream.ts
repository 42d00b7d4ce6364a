import { Duplex } from 'node:stream';
import { type StreamChannel, StreamViolation } from './stream-channel.ts';
import { creditStep, frame, maximumPayload, streamWindow, u32 } from './wire.ts';

export interface GuestStreamOptions {
  readonly id: number;
  readonly channel: StreamChannel;
  readonly onTraffic: (() => void) | undefined;
}

/**
 * One stream of a session as a Node stream. The guest never has more under way than the reader has asked for,
 * nor the writer more than the guest has granted, so one slow end stalls nobody else.
 */
export class GuestStream extends Duplex {
  readonly #id: number;
  readonly #channel: StreamChannel;
  readonly #onTraffic: () => void;
  /** Bytes the guest still takes. */
  #credit = 0;
  /** Bytes the guest may still send. */
  #allowed = streamWindow;
  /** Bytes handed to the reader that the guest has not been told of. */
  #consumed = 0;
  /** What came while the reader had no room; null is the end. At most a window. */
  readonly #queue: (Buffer | null)[] = [];
  #wanted = false;
  #waiting: { chunk: Buffer; done: (error?: Error | null) => void } | undefined;
  #over = false;

  constructor(options: GuestStreamOptions) {
    super({ allowHalfOpen: true, readableHighWaterMark: 64 * 1024, writableHighWaterMark: 64 * 1024 });
    this.#id = options.id;
    this.#channel = options.channel;
    this.#onTraffic = options.onTraffic ?? (() => undefined);
  }

  get id(): number {
    return this.#id;
  }

  /** @throws {StreamViolation} */
  receive(type: number, payload: Buffer): void {
    switch (type) {
      case frame.data:
        this.#allowed -= payload.length;
        if (this.#allowed < 0) throw new StreamViolation('the guest sent more than it was granted');
        this.#onTraffic();
        this.#deliver(Buffer.from(payload));
        return;
      case frame.eof:
        this.#deliver(null);
        return;
      case frame.windowMore:
        this.#grant(payload);
        return;
      case frame.reset:
        this.#over = true;
        this.destroy(connectionReset());
        return;
      default:
        throw new StreamViolation(`a frame of type ${type} on a stream`);
    }
  }

  /** The guest accepted the stream and grants its first window. */
  opened(payload: Buffer): void {
    this.#grant(payload);
  }

  /** Bytes that came by another way than the read side, and are dealt with. */
  protected consumed(count: number): void {
    this.#allowed -= count;
    if (this.#allowed < 0) throw new StreamViolation('the guest sent more than it was granted');
    this.#onTraffic();
    this.#consumed += count;
    this.#handOver();
  }

  /** The guest is done with the stream: nothing more will come, and nothing more is taken. */
  protected finish(): void {
    this.#over = true;
    this.#deliver(null);
    this.#waiting?.done();
    this.#waiting = undefined;
  }

  /** The session ended under the stream. */
  sever(error: Error): void {
    this.#over = true;
    this.destroy(error);
  }

  override _read(): void {
    this.#wanted = true;
    this.#handOver();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    // What a process that has ended was still to read is lost, as in any pipe.
    if (this.#over) {
      done();
      return;
    }
    this.#waiting = { chunk, done };
    this.#pump();
  }

  override _final(done: (error?: Error | null) => void): void {
    if (!this.#over) this.#channel.send(this.#id, frame.eof);
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const finished = this.readableEnded && this.writableFinished;
    if (!this.#over && !finished) this.#channel.send(this.#id, frame.reset);
    this.#over = true;
    this.#channel.forget(this.#id);
    this.#waiting?.done(error ?? connectionReset());
    this.#waiting = undefined;
    done(error);
  }

  #deliver(chunk: Buffer | null): void {
    this.#queue.push(chunk);
    if (this.#wanted) this.#handOver();
  }

  #handOver(): void {
    while (this.#wanted) {
      const chunk = this.#queue.shift();
      if (chunk === undefined) break;
      this.#consumed += chunk?.length ?? 0;
      this.#wanted = this.push(chunk);
    }
    if (this.#consumed < creditStep || this.#over) return;
    this.#allowed += this.#consumed;
    this.#channel.send(this.#id, frame.windowMore, u32(this.#consumed));
    this.#consumed = 0;
  }

  #grant(payload: Buffer): void {
    if (payload.length !== 4) throw new StreamViolation('malformed grant');
    this.#credit += payload.readUInt32LE(0);
    if (this.#credit > 0xffff_ffff) throw new StreamViolation('the guest granted too much');
    this.#pump();
  }

  #pump(): void {
    while (this.#waiting !== undefined && this.#credit > 0 && !this.#over) {
      const { chunk, done } = this.#waiting;
      const size = Math.min(chunk.length, this.#credit, maximumPayload);
      const room = this.#channel.send(this.#id, frame.data, chunk.subarray(0, size));
      this.#credit -= size;
      this.#onTraffic();
      if (size === chunk.length) {
        this.#waiting = undefined;
        if (room) done();
        else this.#channel.drained(() => done());
        return;
      }
      this.#waiting = { chunk: chunk.subarray(size), done };
      if (!room) {
        this.#channel.drained(() => this.#pump());
        return;
      }
    }
  }
}

function connectionReset(): Error {
  return Object.assign(new Error('the connection was reset by the guest'), { code: 'ECONNRESET' });
}
