/** At once, and a second: more than any client needs, less than hurts. */
const burst = 1000;
const perSecond = 100;

/** What a client may make us do for nothing: requests given up, pings, settings, empty frames, broken requests. */
export class Budget {
  #left = burst;
  #since: number;

  /** @param now milliseconds on any clock that only goes forward */
  constructor(now: number) {
    this.#since = now;
  }

  /** @returns false when it is used up */
  spend(now: number): boolean {
    this.#left = Math.min(burst, this.#left + ((now - this.#since) / 1000) * perSecond);
    this.#since = now;
    this.#left -= 1;
    return this.#left >= 0;
  }
}
