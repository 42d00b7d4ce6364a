import type { TrafficLimits } from './options.ts';

/** What one party, a microVM or a token, has under way. */
export class Account {
  active = 0;
  /** Connections of clients that count for it. */
  connections = 0;
  /** Requests that may start now; refilled as time passes, one second's worth at most. */
  allowance: number;
  refilledAt: number;

  constructor(allowance: number, now: number) {
    this.allowance = allowance;
    this.refilledAt = now;
  }

  leave(): void {
    this.active -= 1;
  }
}

/** Counts requests under way and per second, for any number of microVMs and tokens. */
export class Traffic {
  readonly #accounts = new Map<string, Account>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Lets one request of the party in, unless it has too many. Every entry is ended by `leave`. */
  enter(party: string, limits: Omit<TrafficLimits, 'connections'>): Account | undefined {
    let account = this.#accounts.get(party);
    if (account === undefined) {
      account = new Account(limits.requestsPerSecond, this.#now());
      this.#accounts.set(party, account);
    }
    if (limits.requestsPerSecond !== Number.POSITIVE_INFINITY) {
      const now = this.#now();
      const earned = ((now - account.refilledAt) / 1000) * limits.requestsPerSecond;
      account.allowance = Math.min(limits.requestsPerSecond, account.allowance + earned);
      account.refilledAt = now;
      if (account.allowance < 1) return undefined;
    }
    if (account.active >= limits.concurrent) return undefined;
    account.active += 1;
    account.allowance -= 1;
    return account;
  }

  /** Forgets parties without requests and connections whose allowance is full again. Call it every few seconds. */
  sweep(): void {
    const stale = this.#now() - 1000;
    for (const [party, account] of this.#accounts) {
      if (account.active > 0 || account.connections > 0) continue;
      if (account.refilledAt <= stale) this.#accounts.delete(party);
    }
  }

  /** Requests under way. */
  active(party: string): number {
    return this.#accounts.get(party)?.active ?? 0;
  }
}
