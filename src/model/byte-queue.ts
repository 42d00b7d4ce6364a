/** Small pieces are gathered in ones of up to this many bytes; a reader is given no smaller ones while more comes. */
export const gatheredBytes = 4096;
const smallestRoom = 128;
const nothing = Buffer.alloc(0);

/**
 * Bytes in their order. What came in small pieces leaves in larger ones: each piece costs a hundred bytes and more
 * besides its own, and whoever sends them may choose their size. Their memory is their own: a piece in Node's pool
 * keeps 64 KiB of it alive.
 */
export class ByteQueue {
  readonly #pieces: Buffer[] = [];
  /** Where small pieces are gathered, as far as it is filled: behind all others. */
  #room: Buffer = nothing;
  #filled = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Whether the first piece will not grow any more, or hardly. */
  get hasWholePiece(): boolean {
    return this.#pieces.length > 0;
  }

  /** @param bytes copied */
  push(bytes: Uint8Array): void {
    this.#length += bytes.length;
    if (this.#filled + bytes.length > this.#room.length) this.#closeRoom();
    if (this.#filled === 0 && bytes.length >= gatheredBytes / 2) {
      const piece = Buffer.allocUnsafeSlow(bytes.length);
      piece.set(bytes);
      this.#pieces.push(piece);
      return;
    }
    if (this.#room.length === 0) {
      // The more there is, the more will come.
      const likely = Math.max(smallestRoom, bytes.length, this.#length);
      this.#room = Buffer.allocUnsafeSlow(Math.max(bytes.length, Math.min(gatheredBytes, likely)));
    }
    this.#room.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  /** Takes the first piece. */
  shift(): Buffer | undefined {
    if (this.#pieces.length === 0) this.#closeRoom();
    const piece = this.#pieces.shift();
    this.#length -= piece?.length ?? 0;
    return piece;
  }

  /** Puts back what was left of the first piece. */
  unshift(rest: Buffer): void {
    if (rest.length === 0) return;
    this.#pieces.unshift(rest);
    this.#length += rest.length;
  }

  #closeRoom(): void {
    if (this.#filled > 0) this.#pieces.push(this.#room.subarray(0, this.#filled));
    this.#room = nothing;
    this.#filled = 0;
  }
}
