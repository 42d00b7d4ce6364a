import { ConnectionError, errorCodes } from './errors.ts';
import { flags } from './frames.ts';

/** Frames that a header block may be spread over. */
const mostFrames = 64;

export interface HeaderBlock {
  readonly streamId: number;
  readonly bytes: Buffer;
  readonly endStream: boolean;
}

/** Puts header blocks together that come in several frames (RFC 9113, section 4.3). */
export class HeaderBlocks {
  readonly #mostBytes: number;
  /** The stream whose block is not complete; 0 for none. No other frame may come before its end. */
  #streamId = 0;
  #endStream = false;
  #pieces: Buffer[] = [];
  #size = 0;

  /** @param mostBytes of one block, as it comes */
  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  get awaited(): boolean {
    return this.#streamId !== 0;
  }

  /**
   * @returns the block, once it is complete
   * @throws {ConnectionError}
   */
  headers(streamId: number, flagBits: number, payload: Buffer): HeaderBlock | undefined {
    const bytes = fragment(flagBits, payload);
    const endStream = (flagBits & flags.endStream) !== 0;
    if ((flagBits & flags.endHeaders) !== 0) return { streamId, bytes, endStream };
    this.#streamId = streamId;
    this.#endStream = endStream;
    this.#add(bytes);
    return undefined;
  }

  /**
   * @returns the block, once it is complete
   * @throws {ConnectionError}
   */
  continuation(streamId: number, flagBits: number, payload: Buffer): HeaderBlock | undefined {
    if (streamId !== this.#streamId || streamId === 0) {
      throw new ConnectionError(errorCodes.protocol, 'a continuation of nothing');
    }
    this.#add(payload);
    if ((flagBits & flags.endHeaders) === 0) return undefined;
    const bytes = Buffer.concat(this.#pieces);
    this.#streamId = 0;
    this.#pieces = [];
    this.#size = 0;
    return { streamId, bytes, endStream: this.#endStream };
  }

  #add(piece: Buffer): void {
    this.#size += piece.length;
    if (this.#size > this.#mostBytes || this.#pieces.length >= mostFrames) {
      throw new ConnectionError(errorCodes.enhanceYourCalm, 'a header block without end');
    }
    this.#pieces.push(Buffer.from(piece));
  }
}

/** Without padding and priority. */
function fragment(flagBits: number, payload: Buffer): Buffer {
  let from = 0;
  let to = payload.length;
  if ((flagBits & flags.padded) !== 0) {
    to -= payload[0] ?? 0;
    from = 1;
  }
  if ((flagBits & flags.priority) !== 0) from += 5;
  if (from > payload.length) throw new ConnectionError(errorCodes.frameSize, 'HEADERS that end too soon');
  if (from > to) throw new ConnectionError(errorCodes.protocol, 'more padding than payload');
  return payload.subarray(from, to);
}
