import { MalformedMessage, OversizedMessage } from './grammar.ts';

const end = '\r\n\r\n';
/** In so few bytes the end is looked for in their text, which is wanted anyway and faster to search. */
const short = 2048;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** Finds the end of a head in bytes that come in any pieces. */
export class HeadReader {
  /** The head without its last line end, after {@link read} returned true. */
  text = '';
  /** Bytes behind the head, after {@link read} returned true. */
  rest: Buffer = nothing;
  readonly #limit: number;
  readonly #start: string;
  /** What has come of a head that is not complete; grows by doubling. */
  #held: Buffer = nothing;
  #length = 0;

  /**
   * @param limit most bytes of a head
   * @param start how every head begins, so that what is something else need not be waited for
   */
  constructor(limit: number, start = '') {
    this.#limit = limit;
    this.#start = start;
  }

  /** Whether part of a head has come. */
  get begun(): boolean {
    return this.#length > 0;
  }

  /**
   * @returns whether the head is complete
   * @throws {OversizedMessage | MalformedMessage}
   */
  read(chunk: Buffer): boolean {
    if (this.#length === 0) {
      const text = chunk.length <= short ? chunk.toString('latin1') : undefined;
      const at = text === undefined ? chunk.indexOf(end, 0, 'latin1') : text.indexOf(end);
      if (at >= 0) return this.#complete(chunk, at, text);
    }
    const seen = this.#length;
    this.#append(chunk);
    const whole = this.#held.subarray(0, this.#length);
    const at = whole.indexOf(end, Math.max(0, seen - 3), 'latin1');
    if (at >= 0) {
      this.#held = nothing;
      this.#length = 0;
      return this.#complete(whole, at);
    }
    if (this.#length > this.#limit) throw new OversizedMessage('a head that does not end');
    this.#checkBeginning(whole, seen);
    return false;
  }

  #complete(bytes: Buffer, at: number, text?: string): true {
    const length = at + end.length;
    if (length > this.#limit) throw new OversizedMessage('a long head');
    this.text = text === undefined ? bytes.toString('latin1', 0, at + 2) : text.slice(0, at + 2);
    this.rest = length === bytes.length ? nothing : bytes.subarray(length);
    return true;
  }

  #append(chunk: Buffer): void {
    const needed = this.#length + chunk.length;
    if (needed > this.#held.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(512, 2 * needed));
      this.#held.copy(larger, 0, 0, this.#length);
      this.#held = larger;
    }
    chunk.copy(this.#held, this.#length);
    this.#length = needed;
  }

  /** A head that can only be refused is refused now, not when its sender gives up waiting for an answer. */
  #checkBeginning(bytes: Buffer, from: number): void {
    const start = bytes.toString('latin1', 0, this.#start.length);
    if (!this.#start.startsWith(start)) throw new MalformedMessage('not HTTP/1');
    for (let at = bytes.indexOf(lineFeed, from); at >= 0; at = bytes.indexOf(lineFeed, at + 1)) {
      if (bytes[at - 1] !== carriageReturn) throw new MalformedMessage('a bare LF');
    }
  }
}

const nothing = Buffer.alloc(0);
