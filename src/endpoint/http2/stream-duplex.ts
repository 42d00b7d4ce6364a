import { Duplex } from 'node:stream';
import { type ErrorCode, errorCodes } from './errors.ts';
import type { ServerStream } from './server-stream.ts';

/** The bytes of a stream, after an extended CONNECT (RFC 8441). */
export class StreamDuplex extends Duplex {
  readonly #stream: ServerStream;
  #ended = false;
  #onDrain: (() => void) | undefined;

  constructor(stream: ServerStream) {
    super({ allowHalfOpen: true });
    this.#stream = stream;
    stream.onDrain = () => this.#drain();
    stream.onOverdue = () => this.breakOff();
    const told = stream.onClose;
    stream.onClose = (orderly) => {
      told?.(orderly);
      if (!orderly) this.destroy();
      this.#drain();
    };
    stream.readBody({
      write: (piece) => this.push(piece),
      finish: () => {
        this.#ended = true;
        this.push(null);
      },
    });
  }

  /** Ends it in a way that nobody takes for an orderly one. */
  breakOff(): void {
    this.#stream.reset(errorCodes.cancel);
    this.destroy();
  }

  override _read(): void {
    this.#stream.resumeBody();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#stream.write(chunk)) done();
    else this.#onDrain = done;
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#stream.end([]);
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const orderly = this.#ended && this.writableFinished;
    const code: ErrorCode = error === null ? errorCodes.cancel : errorCodes.internal;
    if (!orderly) this.#stream.reset(code);
    done(error);
  }

  #drain(): void {
    const done = this.#onDrain;
    this.#onDrain = undefined;
    done?.();
  }
}
