import type { Writable } from 'node:stream';

/** Bytes a connection may hold for a slow reader before its source is asked to wait. */
const mostWaiting = 256 * 1024;
/** Pieces up to this size leave in one write, and so in one TLS record or packet. */
const mostGathered = 16 * 1024;
/** Pieces larger than this on average are written as they are: copies of them are what is collected most. */
const mostCopied = 2048;

/**
 * When what is gathered leaves: with the event that it is an answer to, or at the end of the event loop's turn, for
 * connections that carry the answers to several.
 */
export type Departing = 'event' | 'turn';

/** Gathers what is said to a connection at one time, so that head and body do not go out one by one. */
export class Outbox {
  readonly #stream: Writable;
  readonly #departing: Departing;
  #pieces: (string | Uint8Array)[] = [];
  #size = 0;
  #scheduled = false;

  constructor(stream: Writable, departing: Departing = 'event') {
    this.#stream = stream;
    this.#departing = departing;
  }

  get hasRoom(): boolean {
    return this.#stream.writableLength < mostWaiting;
  }

  /**
   * @param piece text in Latin-1
   * @returns false when the connection has enough; it emits `drain` once it takes more
   */
  push(piece: string | Uint8Array): boolean {
    this.add(piece);
    this.flushSoon();
    return this.hasRoom;
  }

  /** The same for a piece behind which something else is said at once, or a flush. */
  add(piece: string | Uint8Array): void {
    this.#pieces.push(piece);
    this.#size += piece.length;
  }

  flushSoon(): void {
    if (this.#size >= mostGathered) {
      this.flush();
    } else if (!this.#scheduled) {
      this.#scheduled = true;
      if (this.#departing === 'event') process.nextTick(flushLater, this);
      else setImmediate(flushLater, this);
    }
  }

  flush(): void {
    this.#scheduled = false;
    const pieces = this.#pieces;
    const [first] = pieces;
    if (first === undefined) return;
    this.#pieces = [];
    const size = this.#size;
    this.#size = 0;
    const stream = this.#stream;
    if (pieces.length === 1) {
      if (typeof first === 'string') stream.write(first, 'latin1');
      else stream.write(first);
    } else if (size <= 2 * mostGathered && size <= mostCopied * pieces.length) {
      stream.write(joined(pieces, size));
    } else {
      stream.cork();
      for (const piece of pieces) stream.write(piece, 'latin1');
      stream.uncork();
    }
  }

  /** Ends the stream behind what is still here. */
  end(): void {
    this.flush();
    this.#stream.end();
  }
}

function flushLater(outbox: Outbox): void {
  outbox.flush();
}

function joined(pieces: readonly (string | Uint8Array)[], size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const piece of pieces) {
    if (typeof piece === 'string') bytes.write(piece, at, 'latin1');
    else bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
