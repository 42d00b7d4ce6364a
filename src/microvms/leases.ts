import type { LeaseRepository } from '../store/leases.ts';

/** Promises to keep microVMs awake for a while. Each is stored before it counts. */
export class Leases {
  readonly #repository: LeaseRepository;
  readonly #ends = new Map<string, number>();

  constructor(repository: LeaseRepository) {
    this.#repository = repository;
  }

  /** When the lease of a microVM ends, milliseconds since the epoch; undefined when it has none. */
  endOf(microvmId: string): number | undefined {
    return this.#ends.get(microvmId);
  }

  async set(microvmId: string, endsAt: number): Promise<void> {
    await this.#repository.set(microvmId, endsAt);
    this.#ends.set(microvmId, endsAt);
  }

  async end(microvmId: string): Promise<void> {
    if (!this.#ends.delete(microvmId)) return;
    await this.#repository.remove(microvmId);
  }

  /** Reads what an earlier server stored, and forgets the leases of microVMs that are no more. */
  async recover(live: ReadonlySet<string>): Promise<void> {
    for (const { microvmId, endsAt } of await this.#repository.listAll()) {
      if (live.has(microvmId)) this.#ends.set(microvmId, endsAt);
      else await this.#repository.remove(microvmId);
    }
  }
}
