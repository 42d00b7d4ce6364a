import type { BodySink } from '../exchange.ts';
import type { HeaderList } from '../headers.ts';

/** Pieces that wait are joined up to this size: a Buffer for each byte would take many times what it holds. */
const joinedBytes = 4096;

/** A request's body on its way to whoever wants it; the client's windows bound what waits here. */
export class Inbox {
  readonly #onTaken: (bytes: number) => void;
  #sink: BodySink | undefined;
  #paused = false;
  #held: Buffer[] = [];
  #trailers: HeaderList | undefined;

  /** @param onTaken told about bytes that wait no longer */
  constructor(onTaken: (bytes: number) => void) {
    this.#onTaken = onTaken;
  }

  put(piece: Buffer): void {
    if (this.#sink === undefined || this.#paused) this.#hold(piece);
    else this.#pass(this.#sink, piece);
  }

  end(trailers: HeaderList): void {
    this.#trailers = trailers;
    this.#finish();
  }

  open(sink: BodySink): void {
    this.#sink = sink;
    this.resume();
  }

  resume(): void {
    this.#paused = false;
    while (this.#sink !== undefined && !this.#paused) {
      const piece = this.#held.shift();
      if (piece === undefined) break;
      this.#pass(this.#sink, piece);
    }
    this.#finish();
  }

  /**
   * Nobody wants the rest.
   * @returns bytes that waited
   */
  close(): number {
    const bytes = this.#held.reduce((sum, piece) => sum + piece.length, 0);
    this.#sink = undefined;
    this.#held = [];
    return bytes;
  }

  #pass(sink: BodySink, piece: Buffer): void {
    // Before the bytes are counted: what is done with them may end the stream.
    if (!sink.write(piece)) this.#paused = true;
    this.#onTaken(piece.length);
  }

  #finish(): void {
    const sink = this.#sink;
    if (sink === undefined || this.#trailers === undefined || this.#paused || this.#held.length > 0) return;
    this.#sink = undefined;
    sink.finish(this.#trailers);
  }

  #hold(piece: Buffer): void {
    const last = this.#held.at(-1);
    if (last !== undefined && last.length + piece.length <= joinedBytes) {
      this.#held[this.#held.length - 1] = Buffer.concat([last, piece]);
    } else {
      this.#held.push(piece);
    }
  }
}
