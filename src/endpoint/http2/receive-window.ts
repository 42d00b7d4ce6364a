/** What the other side may send, on a stream or on the connection (RFC 9113, section 5.2). */
export class ReceiveWindow {
  readonly #size: number;
  /** It may send so much more. */
  #left: number;
  /** Taken since the window was last opened. */
  #taken = 0;

  constructor(size: number) {
    this.#size = size;
    this.#left = size;
  }

  /** @returns false when it was not allowed to send so much */
  received(bytes: number): boolean {
    this.#left -= bytes;
    return this.#left >= 0;
  }

  /**
   * Bytes have gone where they belong.
   * @returns by how much the window is to be opened: nothing as long as it is more than half open
   */
  taken(bytes: number): number {
    this.#taken += bytes;
    if (this.#taken * 2 < this.#size) return 0;
    const increment = this.#taken;
    this.#left += increment;
    this.#taken = 0;
    return increment;
  }
}
