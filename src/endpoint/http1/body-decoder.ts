import type { HeaderList } from '../headers.ts';
import { type LineEnds, MalformedMessage, parseFields, withStrictLineEnds } from './grammar.ts';
import { HeadReader } from './head-reader.ts';

/** Tells where a body ends, and gives what it holds. */
export interface BodyDecoder {
  readonly done: boolean;
  /** The end of the connection is the end of the body, and not its loss. */
  readonly endsWithConnection?: boolean;
  /** Complete once `done`. */
  readonly trailers: HeaderList;
  /**
   * Reads as much of `bytes` as belongs to the body.
   * @param payload gets the pieces of the content
   * @returns the bytes behind the body
   * @throws {MalformedMessage | OversizedMessage}
   */
  decode(bytes: Buffer, payload: Buffer[]): Buffer;
}

/** A body of a known length. */
export class LengthDecoder implements BodyDecoder {
  readonly trailers: HeaderList = [];
  #left: number;

  constructor(length: number) {
    this.#left = length;
  }

  get done(): boolean {
    return this.#left === 0;
  }

  decode(bytes: Buffer, payload: Buffer[]): Buffer {
    if (bytes.length <= this.#left) {
      this.#left -= bytes.length;
      payload.push(bytes);
      return nothing;
    }
    payload.push(bytes.subarray(0, this.#left));
    const rest = bytes.subarray(this.#left);
    this.#left = 0;
    return rest;
  }
}

/** A body that ends with its connection. */
export class EndlessDecoder implements BodyDecoder {
  readonly trailers: HeaderList = [];
  readonly done = false;
  readonly endsWithConnection = true;

  decode(bytes: Buffer, payload: Buffer[]): Buffer {
    payload.push(bytes);
    return nothing;
  }
}

type State = 'size' | 'extension' | 'size line end' | 'data' | 'data CR' | 'data LF' | 'trailers' | 'done';

/** Digits of a chunk's size: what they hold is well within a safe integer. */
const mostDigits = 12;
/** Bytes of chunk extensions in one body; nobody uses them, and they are not passed on. */
const mostExtensionBytes = 4096;

const carriageReturn = 0x0d;
const lineFeed = 0x0a;
const semicolon = 0x3b;

/** The chunked coding (RFC 9112, section 7.1), read strictly. */
export class ChunkedDecoder implements BodyDecoder {
  trailers: HeaderList = [];
  readonly #trailerReader: HeadReader;
  readonly #lineEnds: LineEnds;
  #state: State = 'size';
  #size = 0;
  #digits = 0;
  #extensionBytes = 0;

  /**
   * @param trailerBytes most bytes of the trailer section
   * @param lineEnds those of trailers
   */
  constructor(trailerBytes: number, lineEnds: LineEnds = 'CR LF') {
    this.#trailerReader = new HeadReader(trailerBytes, '', lineEnds);
    this.#lineEnds = lineEnds;
  }

  get done(): boolean {
    return this.#state === 'done';
  }

  decode(bytes: Buffer, payload: Buffer[]): Buffer {
    let at = 0;
    while (at < bytes.length) {
      if (this.#state === 'data') {
        const end = Math.min(bytes.length, at + this.#size);
        payload.push(bytes.subarray(at, end));
        this.#size -= end - at;
        at = end;
        if (this.#size === 0) this.#state = 'data CR';
      } else if (this.#state === 'trailers') {
        return this.#readTrailers(bytes.subarray(at));
      } else {
        this.#readFraming(bytes[at] ?? 0);
        at += 1;
      }
    }
    return nothing;
  }

  #readFraming(byte: number): void {
    switch (this.#state) {
      case 'size':
        this.#readSize(byte);
        return;
      case 'extension':
        if (byte === carriageReturn) this.#state = 'size line end';
        else if ((byte < 0x20 && byte !== 0x09) || byte === 0x7f)
          throw new MalformedMessage('a chunk extension');
        this.#extensionBytes += 1;
        if (this.#extensionBytes > mostExtensionBytes) throw new MalformedMessage('long chunk extensions');
        return;
      case 'size line end':
        expectByte(byte, lineFeed);
        if (this.#size > 0) {
          this.#state = 'data';
        } else {
          this.#state = 'trailers';
          // With the line end before it, an empty section ends as any other does.
          this.#trailerReader.read(lineEnd);
        }
        return;
      case 'data CR':
        expectByte(byte, carriageReturn);
        this.#state = 'data LF';
        return;
      default:
        expectByte(byte, lineFeed);
        this.#state = 'size';
        this.#size = 0;
        this.#digits = 0;
    }
  }

  #readSize(byte: number): void {
    const digit = digitOf(byte);
    if (digit >= 0) {
      this.#digits += 1;
      this.#size = this.#size * 16 + digit;
      if (this.#digits > mostDigits) throw new MalformedMessage('a huge chunk');
      return;
    }
    if (this.#digits === 0) throw new MalformedMessage('a chunk without a size');
    if (byte === carriageReturn) this.#state = 'size line end';
    else if (byte === semicolon) this.#state = 'extension';
    else throw new MalformedMessage('a chunk size that is no hexadecimal number');
  }

  #readTrailers(bytes: Buffer): Buffer {
    const reader = this.#trailerReader;
    if (!reader.read(bytes)) return nothing;
    const text = this.#lineEnds === 'CR LF' ? reader.text : withStrictLineEnds(reader.text);
    this.trailers = parseFields(text, lineEnd.length);
    this.#state = 'done';
    return reader.rest;
  }
}

function digitOf(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

function expectByte(byte: number, expected: number): void {
  if (byte !== expected) throw new MalformedMessage('a chunk without its line end');
}

const lineEnd = Buffer.from('\r\n');
const nothing = Buffer.alloc(0);
