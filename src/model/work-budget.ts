/** What somebody may make this process do: so much a second in the long run, and so much at once. */
export class WorkBudget {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #nowMs: () => number;
  /** Below zero when more was done than there was left; nothing is done again until that is made up. */
  #left: number;
  #at: number;

  /**
   * @param perSecond units of work, as its user counts them
   * @param nowMs milliseconds of any clock that only goes forward
   */
  constructor(perSecond: number, burst: number, nowMs: () => number = () => performance.now()) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#nowMs = nowMs;
    this.#left = burst;
    this.#at = nowMs();
  }

  /** Units that may be done now; negative when some are owed. */
  get left(): number {
    this.#fill();
    return this.#left;
  }

  spend(units: number): void {
    this.#left -= units;
  }

  /**
   * Milliseconds until more may be done; 0 when it may be now. Who had to wait waits for a good helping, and does not
   * come back for every unit. The clock is looked at only when nothing is left.
   */
  get waitMs(): number {
    if (this.#left > 0) return 0;
    this.#fill();
    if (this.#left > 0) return 0;
    return Math.ceil(((this.#burst / 8 - this.#left) * 1000) / this.#perSecond);
  }

  #fill(): void {
    const now = this.#nowMs();
    this.#left = Math.min(this.#burst, this.#left + (Math.max(0, now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
  }
}
