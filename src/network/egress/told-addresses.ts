/** An application may hold on to an answer for a moment longer than the answer says. */
const shortestMs = 60_000;
const longestMs = 24 * 3_600_000;
/** Most addresses with a name; the ones told first are forgotten first. */
const most = 1024;

/** Which addresses a guest has been told for which names, as long as the answers are good. */
export class ToldAddresses {
  readonly #nowMs: () => number;
  /** By address and name, in the order they were told. */
  readonly #entries = new Map<string, { address: string; name: string; endsAt: number }>();
  readonly #byAddress = new Map<string, Set<string>>();

  /** @param nowMs a clock that is never set back */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** @param ttlSeconds how long the answer is good; at least a minute and at most a day is granted */
  add(address: string, name: string, ttlSeconds: number): void {
    const key = `${address} ${name}`;
    const endsAt = this.#nowMs() + Math.min(Math.max(ttlSeconds * 1000, shortestMs), longestMs);
    this.#entries.delete(key);
    this.#entries.set(key, { address, name, endsAt });
    const names = this.#byAddress.get(address) ?? new Set();
    this.#byAddress.set(address, names.add(name));
    if (this.#entries.size <= most) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#forget(oldest);
  }

  namesOf(address: string): readonly string[] {
    const now = this.#nowMs();
    return [...(this.#byAddress.get(address) ?? [])].filter((name) => {
      const key = `${address} ${name}`;
      if ((this.#entries.get(key)?.endsAt ?? 0) > now) return true;
      this.#forget(key);
      return false;
    });
  }

  #forget(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    const names = this.#byAddress.get(entry.address);
    names?.delete(entry.name);
    if (names?.size === 0) this.#byAddress.delete(entry.address);
  }
}
