import { type LineEnds, MalformedMessage, OversizedMessage } from './grammar.ts';

const end = '\r\n\r\n';
/** A line end before an empty line, where a bare LF is one as well. */
const looseEnd = /\n\r?\n/;
/** In so few bytes the end is looked for in their text, which is wanted anyway and faster to search. */
const short = 2048;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** Where a head ends: its last line, and the empty line behind it. */
interface End {
  readonly head: number;
  readonly length: number;
}

/** Finds the end of a head in bytes that come in any pieces. */
export class HeadReader {
  /** The head without its last line end, after {@link read} returned true. */
  text = '';
  /** Bytes behind the head, after {@link read} returned true. */
  rest: Buffer = nothing;
  readonly #limit: number;
  readonly #start: string;
  readonly #lineEnds: LineEnds;
  /** What has come of a head that is not complete; grows by doubling. */
  #held: Buffer = nothing;
  #length = 0;

  /**
   * @param limit most bytes of a head
   * @param start how every head begins, so that what is something else need not be waited for
   * @param lineEnds those that are taken; they are in the text as they came
   */
  constructor(limit: number, start = '', lineEnds: LineEnds = 'CR LF') {
    this.#limit = limit;
    this.#start = start;
    this.#lineEnds = lineEnds;
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
      const found = this.#findEnd(chunk, 0, text);
      if (found !== undefined) return this.#complete(chunk, found, text);
    }
    const seen = this.#length;
    this.#append(chunk);
    const whole = this.#held.subarray(0, this.#length);
    const found = this.#findEnd(whole, Math.max(0, seen - 3));
    if (found !== undefined) {
      this.#held = nothing;
      this.#length = 0;
      return this.#complete(whole, found);
    }
    if (this.#length > this.#limit) throw new OversizedMessage('a head that does not end');
    this.#checkBeginning(whole, seen);
    return false;
  }

  /** @param text of the bytes, where it is wanted anyway */
  #findEnd(bytes: Buffer, from: number, text?: string): End | undefined {
    if (this.#lineEnds === 'CR LF') {
      const at = text === undefined ? bytes.indexOf(end, from, 'latin1') : text.indexOf(end, from);
      return at < 0 ? undefined : { head: at + 2, length: at + end.length };
    }
    if (text !== undefined) {
      const found = looseEnd.exec(text);
      return found === null ? undefined : { head: found.index + 1, length: found.index + found[0].length };
    }
    for (let at = bytes.indexOf(lineFeed, from); at >= 0; at = bytes.indexOf(lineFeed, at + 1)) {
      const empty = bytes[at + 1] === carriageReturn ? 2 : 1;
      if (bytes[at + empty] === lineFeed) return { head: at + 1, length: at + 1 + empty };
    }
    return undefined;
  }

  #complete(bytes: Buffer, { head, length }: End, text?: string): true {
    if (length > this.#limit) throw new OversizedMessage('a long head');
    this.text = text === undefined ? bytes.toString('latin1', 0, head) : text.slice(0, head);
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
    if (this.#lineEnds !== 'CR LF') return;
    for (let at = bytes.indexOf(lineFeed, from); at >= 0; at = bytes.indexOf(lineFeed, at + 1)) {
      if (bytes[at - 1] !== carriageReturn) throw new MalformedMessage('a bare LF');
    }
  }
}

const nothing = Buffer.alloc(0);
