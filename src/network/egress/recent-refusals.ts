import type { EgressRefusal } from '../../model/egress-refusal.ts';

/** Most targets that are remembered of one guest; the one refused longest ago is forgotten first. */
const most = 100;

/** What one guest was refused lately, for whoever wonders why something in it does not work. */
export class RecentRefusals {
  /** In the order they were last refused. */
  readonly #byTarget = new Map<string, EgressRefusal>();
  readonly #now: () => number;

  /** @param now epoch milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  add(kind: EgressRefusal['kind'], target: string): void {
    const key = `${kind} ${target}`;
    const count = (this.#byTarget.get(key)?.count ?? 0) + 1;
    this.#byTarget.delete(key);
    this.#byTarget.set(key, { kind, target, count, lastAt: this.#now() });
    const [oldest] = this.#byTarget.keys();
    if (this.#byTarget.size > most && oldest !== undefined) this.#byTarget.delete(oldest);
  }

  /** Latest first. */
  list(): readonly EgressRefusal[] {
    return [...this.#byTarget.values()].reverse();
  }
}
