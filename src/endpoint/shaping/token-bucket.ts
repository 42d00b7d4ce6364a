import type { Clock } from '../../model/clock.ts';

/** Lets bytes pass at a rate, for several users in turn. */
export class TokenBucket {
  readonly #rate: number;
  readonly #burst: number;
  readonly #clock: Clock;
  /** Below zero while what has passed is not yet earned. */
  #tokens: number;
  #filledAt: number;
  readonly #waiting: (() => void)[] = [];
  /** What each of the waiting asks for. */
  readonly #wanted: number[] = [];
  #timed = false;

  /**
   * @param rate bytes per second
   * @param burst bytes that may pass at once after a pause
   */
  constructor(rate: number, burst: number, clock: Clock) {
    this.#rate = rate;
    this.#burst = burst;
    this.#clock = clock;
    this.#tokens = burst;
    this.#filledAt = clock.now();
  }

  /** Whether nothing is owed and nobody waits: a new bucket would be no different. */
  get full(): boolean {
    this.#fill();
    return this.#waiting.length === 0 && this.#tokens >= this.#burst;
  }

  /**
   * Calls `pass` when so many bytes may pass, at once if possible. Users that ask for one piece after the other
   * get the same share, because they are served in the order of asking.
   */
  take(bytes: number, pass: () => void): void {
    this.#fill();
    if (this.#waiting.length === 0 && this.#tokens > 0) {
      this.#tokens -= bytes;
      pass();
      return;
    }
    this.#waiting.push(pass);
    this.#wanted.push(bytes);
    this.#arm();
  }

  #serve(): void {
    this.#timed = false;
    this.#fill();
    while (this.#tokens > 0) {
      const pass = this.#waiting.shift();
      if (pass === undefined) return;
      this.#tokens -= this.#wanted.shift() ?? 0;
      pass();
    }
    this.#arm();
  }

  #arm(): void {
    if (this.#timed || this.#waiting.length === 0) return;
    this.#timed = true;
    this.#clock.schedule(Math.ceil((-this.#tokens * 1000) / this.#rate) + 1, () => this.#serve());
  }

  #fill(): void {
    const now = this.#clock.now();
    // The clock of a machine may be set back.
    const elapsed = Math.max(0, now - this.#filledAt);
    this.#tokens = Math.min(this.#burst, this.#tokens + (elapsed / 1000) * this.#rate);
    this.#filledAt = now;
  }
}
