import type { TrafficLimits } from './options.ts';

interface Account {
  active: number;
  /** Requests that may start now; refilled as time passes, one second's worth at most. */
  allowance: number;
  refilledAt: number;
}

/** Counts requests under way and per second, for any number of microVMs and tokens. */
export class Traffic {
  readonly #accounts = new Map<string, Account>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Lets one request of the party in, or returns false. Every entry is ended by {@link leave}. */
  enter(party: string, limits: TrafficLimits): boolean {
    const now = this.#now();
    let account = this.#accounts.get(party);
    if (account === undefined) {
      account = { active: 0, allowance: limits.requestsPerSecond, refilledAt: now };
      this.#accounts.set(party, account);
    }
    if (limits.requestsPerSecond !== Number.POSITIVE_INFINITY) {
      const earned = ((now - account.refilledAt) / 1000) * limits.requestsPerSecond;
      account.allowance = Math.min(limits.requestsPerSecond, account.allowance + earned);
      account.refilledAt = now;
      if (account.allowance < 1) return false;
    }
    if (account.active >= limits.concurrent) return false;
    account.active += 1;
    account.allowance -= 1;
    return true;
  }

  leave(party: string): void {
    const account = this.#accounts.get(party);
    if (account !== undefined) account.active -= 1;
  }

  /** Forgets parties without requests whose allowance is full again. Call it every few seconds. */
  sweep(): void {
    const stale = this.#now() - 1000;
    for (const [party, account] of this.#accounts) {
      if (account.active === 0 && account.refilledAt <= stale) this.#accounts.delete(party);
    }
  }

  /** Requests under way. */
  active(party: string): number {
    return this.#accounts.get(party)?.active ?? 0;
  }
}
