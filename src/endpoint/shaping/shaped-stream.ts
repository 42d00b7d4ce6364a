import { Duplex } from 'node:stream';
import type { TokenBucket } from './token-bucket.ts';

/** Bytes that pass at a time: small enough for many connections to take turns. */
const pieceBytes = 16 * 1024;

/** A connection whose bytes, in both directions, pass when a bucket lets them. */
export class ShapedStream extends Duplex {
  readonly #inner: Duplex;
  readonly #bucket: TokenBucket;
  /** A chunk of the inner stream waits to pass; the inner stream is paused meanwhile. */
  #passing = false;
  #ended = false;
  #drained: (() => void) | undefined;

  constructor(inner: Duplex, bucket: TokenBucket) {
    super({ allowHalfOpen: true });
    this.#inner = inner;
    this.#bucket = bucket;
    inner.pause();
    inner.on('data', (chunk: Buffer) => {
      inner.pause();
      this.#passing = true;
      this.#read(chunk);
    });
    inner.once('end', () => {
      this.#ended = true;
      if (!this.#passing) this.push(null);
    });
    inner.on('drain', () => this.#continue());
    inner.on('error', (error) => this.destroy(error));
    inner.once('close', () => {
      // What was received before an orderly end still has to pass.
      if (!this.#ended || !inner.writableFinished) this.destroy();
    });
  }

  override _read(): void {
    if (!this.#passing) this.#inner.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const piece = chunk.subarray(0, pieceBytes);
    const rest = chunk.subarray(pieceBytes);
    this.#bucket.take(piece.length, () => {
      const next = (): void => (rest.length === 0 ? done() : this._write(rest, 'binary', done));
      if (this.destroyed || this.#inner.write(piece)) next();
      else this.#drained = next;
    });
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#inner.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#inner.destroy();
    this.#continue();
    done(error);
  }

  #read(chunk: Buffer): void {
    const piece = chunk.subarray(0, pieceBytes);
    const rest = chunk.subarray(pieceBytes);
    this.#bucket.take(piece.length, () => {
      if (this.destroyed) return;
      const wanted = this.push(piece);
      if (rest.length > 0) return this.#read(rest);
      this.#passing = false;
      if (this.#ended) this.push(null);
      else if (wanted) this.#inner.resume();
    });
  }

  #continue(): void {
    const drained = this.#drained;
    this.#drained = undefined;
    drained?.();
  }
}
