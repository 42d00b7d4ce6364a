import type { HeaderList } from '../headers.ts';
import type { Framing } from './framing.ts';
import { fieldText, MalformedMessage } from './grammar.ts';
import type { Outbox } from './outbox.ts';

/** Writes a body. One of a known length gets exactly that many bytes, or its message is never completed. */
export class BodyWriter {
  readonly #outbox: Outbox;
  readonly #chunked: boolean;
  #left: number;

  constructor(outbox: Outbox, framing: Framing) {
    this.#outbox = outbox;
    this.#chunked = framing === 'chunked';
    this.#left = typeof framing === 'number' ? framing : Number.POSITIVE_INFINITY;
  }

  /**
   * @returns false when the connection has enough
   * @throws {MalformedMessage} more than the announced length
   */
  write(chunk: Uint8Array): boolean {
    this.#left -= chunk.length;
    if (this.#left < 0) throw new MalformedMessage('a body longer than announced');
    if (this.#left === 0) {
      this.#outbox.add(chunk);
      this.#outbox.flush();
      return true;
    }
    // An empty chunk would be the last one.
    if (!this.#chunked || chunk.length === 0) return this.#outbox.push(chunk);
    this.#outbox.add(`${chunk.length.toString(16)}\r\n`);
    this.#outbox.add(chunk);
    return this.#outbox.push('\r\n');
  }

  /** @throws {MalformedMessage} less than the announced length, or trailers that cannot be written */
  end(trailers: HeaderList): void {
    if (this.#left > 0 && this.#left !== Number.POSITIVE_INFINITY) {
      throw new MalformedMessage('a body shorter than announced');
    }
    if (this.#chunked) this.#outbox.add(`0\r\n${fieldText(trailers)}\r\n`);
    this.#outbox.flush();
  }
}
