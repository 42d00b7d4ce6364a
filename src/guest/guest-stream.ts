import { Duplex } from 'node:stream';
import { Inlet } from './inlet.ts';
import { type StreamChannel, StreamViolation } from './stream-channel.ts';
import type { Window } from './windows.ts';
import { frame, maximumPayload, u32 } from './wire.ts';

export interface GuestStreamOptions {
  readonly id: number;
  readonly channel: StreamChannel;
  readonly onTraffic: (() => void) | undefined;
  /** What the guest may have under way to the reader; released with the stream. */
  readonly window: Window;
}

/** Credit is given back in portions of this part of a window, not for every read. */
const creditSteps = 4;
/** Bytes that Node buffers in either direction, beside what waits here. */
const mostBuffered = 64 * 1024;

/**
 * One stream of a session as a Node stream. The guest never has more under way than the reader has asked for,
 * nor the writer more than the guest has granted, so one slow end stalls nobody else.
 */
export class GuestStream extends Duplex {
  readonly #window: Window;
  readonly #id: number;
  readonly #channel: StreamChannel;
  readonly #onTraffic: () => void;
  /** Bytes the guest still takes. */
  #credit = 0;
  /** Bytes the guest may still send. */
  #allowed: number;
  /** Bytes handed to the reader that the guest has not been told of. */
  #consumed = 0;
  /** What came while the reader had no room: at most a window. */
  readonly #inlet = new Inlet(this, (bytes) => this.handedOver(bytes));
  #waiting: { chunk: Buffer; done: (error?: Error | null) => void } | undefined;
  #over = false;

  constructor(options: GuestStreamOptions) {
    super({
      allowHalfOpen: true,
      readableHighWaterMark: Math.min(mostBuffered, options.window.bytes),
      writableHighWaterMark: mostBuffered,
    });
    this.#id = options.id;
    this.#window = options.window;
    this.#allowed = options.window.bytes;
    this.#channel = options.channel;
    this.#onTraffic = options.onTraffic ?? (() => undefined);
  }

  get id(): number {
    return this.#id;
  }

  get window(): number {
    return this.#window.bytes;
  }

  /** @throws {StreamViolation} */
  receive(type: number, payload: Buffer): void {
    switch (type) {
      case frame.data:
        this.took(payload.length);
        this.#inlet.put(payload);
        return;
      case frame.eof:
        this.#refuseAfterEnd();
        this.#inlet.end();
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

  /**
   * Counts what came, whatever reads it. An agent sends no frame without a byte, and none after the last: such cost
   * nothing of the window, and could come without end.
   */
  protected took(bytes: number): void {
    this.#refuseAfterEnd();
    if (bytes === 0) throw new StreamViolation('a frame without a body');
    this.#allowed -= bytes;
    if (this.#allowed < 0) throw new StreamViolation('the guest sent more than it was granted');
    this.#onTraffic();
  }

  /** Grants the guest anew what a reader has got. */
  protected handedOver(bytes: number): void {
    this.#consumed += bytes;
    if (this.#consumed < this.window / creditSteps || this.#over) return;
    this.#allowed += this.#consumed;
    this.#channel.send(this.#id, frame.windowMore, u32(this.#consumed));
    this.#consumed = 0;
  }

  /** The guest is done with the stream: nothing more will come, and nothing more is taken. */
  protected finish(): void {
    this.#refuseAfterEnd();
    this.#over = true;
    this.#inlet.end();
    this.#waiting?.done();
    this.#waiting = undefined;
  }

  /** The session ended under the stream. */
  sever(error: Error): void {
    this.#over = true;
    this.destroy(error);
  }

  override _read(): void {
    this.#inlet.wanted();
  }

  override read(size?: number): unknown {
    const chunk: unknown = super.read(size);
    this.#inlet.settle();
    return chunk;
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
    this.#window.release();
    this.#waiting?.done(error ?? connectionReset());
    this.#waiting = undefined;
    done(error);
  }

  #refuseAfterEnd(): void {
    if (this.#inlet.ended) throw new StreamViolation('a frame after the end of its stream');
  }

  #grant(payload: Buffer): void {
    if (payload.length !== 4) throw new StreamViolation('malformed grant');
    this.#credit += payload.readUInt32LE(0);
    if (this.#credit > 0xffff_ffff) throw new StreamViolation('the guest granted too much');
    this.#pump();
  }

  #pump(): void {
    while (this.#waiting !== undefined && this.#credit > 0 && !this.#over) {
      if (!this.#channel.hasRoom) {
        this.#channel.drained(() => this.#pump());
        return;
      }
      const { chunk, done } = this.#waiting;
      const size = Math.min(chunk.length, this.#credit, maximumPayload);
      const room = this.#channel.send(this.#id, frame.data, chunk.subarray(0, size));
      this.#credit -= size;
      this.#onTraffic();
      if (size < chunk.length) {
        this.#waiting = { chunk: chunk.subarray(size), done };
        continue;
      }
      this.#waiting = undefined;
      if (room) done();
      else this.#channel.drained(() => done());
    }
  }
}

function connectionReset(): Error {
  return Object.assign(new Error('the connection was reset by the guest'), { code: 'ECONNRESET' });
}
