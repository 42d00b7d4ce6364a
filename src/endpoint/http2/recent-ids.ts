/** The newest of what was added, and not taken away again. */
export class RecentIds {
  readonly #ids = new Set<number>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  add(id: number): void {
    this.#ids.add(id);
    if (this.#ids.size <= this.#most) return;
    for (const oldest of this.#ids) {
      this.#ids.delete(oldest);
      return;
    }
  }

  has(id: number): boolean {
    return this.#ids.has(id);
  }

  delete(id: number): void {
    this.#ids.delete(id);
  }
}
