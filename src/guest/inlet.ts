import type { Readable } from 'node:stream';
import { ByteQueue } from '../model/byte-queue.ts';

/**
 * What has come for a reader that may be slow. Its own buffer gets one piece more only if that is large or the buffer
 * empty, so that neither of the two ever holds many small ones.
 *
 * The reader calls {@link wanted} from `_read` and {@link settle} at the end of `read`.
 */
export class Inlet {
  readonly #reader: Readable;
  readonly #onHandedOver: (bytes: number) => void;
  readonly #queue = new ByteQueue();
  #isWanted = false;
  #ended = false;

  /** @param onHandedOver told of bytes that the reader has got */
  constructor(reader: Readable, onHandedOver: (bytes: number) => void) {
    this.#reader = reader;
    this.#onHandedOver = onHandedOver;
  }

  /** Whether nothing more may come. */
  get ended(): boolean {
    return this.#ended;
  }

  /** @param bytes copied */
  put(bytes: Uint8Array): void {
    if (this.#isWanted && this.#queue.length === 0 && this.#reader.readableLength === 0) {
      this.#give(Buffer.from(bytes));
      return;
    }
    this.#queue.push(bytes);
    this.#handOver();
  }

  end(): void {
    this.#ended = true;
    this.#handOver();
  }

  wanted(): void {
    this.#isWanted = true;
    this.#handOver();
  }

  settle(): void {
    if (this.#isWanted && this.#reader.readableLength === 0) this.#handOver();
  }

  #handOver(): void {
    while (this.#isWanted) {
      if (this.#queue.length === 0) {
        if (!this.#ended) return;
        this.#isWanted = false;
        this.#reader.push(null);
        return;
      }
      const fits = this.#ended || this.#queue.hasWholePiece || this.#reader.readableLength === 0;
      const piece = fits ? this.#queue.shift() : undefined;
      if (piece === undefined) return;
      this.#give(piece);
    }
  }

  #give(piece: Buffer): void {
    this.#isWanted = this.#reader.push(piece);
    this.#onHandedOver(piece.length);
  }
}
