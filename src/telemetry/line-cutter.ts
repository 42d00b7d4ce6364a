import { ByteQueue } from '../model/byte-queue.ts';

/** Longer lines are cut into several, in bytes; who never ends a line costs no more. */
const longestLine = 64 * 1024;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** Cuts bytes into lines of text, whatever their pieces. */
export class LineCutter {
  readonly #begun = new ByteQueue();

  /**
   * @param most lines to cut
   * @returns how many of the bytes were used
   */
  cut(bytes: Buffer, most: number, onLine: (line: string) => void): number {
    let at = 0;
    for (let lines = 0; lines < most && at < bytes.length; lines += 1) {
      const room = longestLine - this.#begun.length;
      const found = bytes.subarray(at, at + room + 1).indexOf(lineFeed);
      const end = found < 0 ? Math.min(bytes.length, at + room) : at + found;
      if (found >= 0 && this.#begun.length === 0) {
        onLine(textOf(bytes, at, end));
      } else {
        this.#begun.push(bytes.subarray(at, end));
        if (found >= 0) onLine(this.#line(true));
        else if (end < bytes.length) onLine(this.#line(false));
      }
      at = found < 0 ? end : end + 1;
    }
    return at;
  }

  /** The line that was begun and has no end; undefined when there is none. */
  rest(): string | undefined {
    return this.#begun.length === 0 ? undefined : this.#line(true);
  }

  /** @param whole the line has ended; otherwise a character that has only begun is left for the next */
  #line(whole: boolean): string {
    const pieces: Buffer[] = [];
    for (let piece = this.#begun.shift(); piece !== undefined; piece = this.#begun.shift())
      pieces.push(piece);
    const bytes = pieces.length === 1 ? (pieces[0] ?? nothing) : Buffer.concat(pieces);
    if (whole) return textOf(bytes, 0, bytes.length);
    const end = bytes.length - begunCharacter(bytes);
    this.#begun.push(bytes.subarray(end));
    return bytes.toString('utf8', 0, end);
  }
}

/** A line without the carriage return before its end. */
function textOf(bytes: Buffer, from: number, to: number): string {
  return bytes.toString('utf8', from, to > from && bytes[to - 1] === carriageReturn ? to - 1 : to);
}

const nothing = Buffer.alloc(0);

/** Bytes at the end that begin a character of UTF-8 and do not complete it. */
function begunCharacter(bytes: Buffer): number {
  for (let back = 1; back <= 3; back += 1) {
    const byte = bytes.at(-back) ?? 0;
    if (byte < 0x80) return 0;
    if (byte < 0xc0) continue;
    const length = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    return length > back ? back : 0;
  }
  return 0;
}
