import type { Store } from './database.ts';

/** Rows of leases: until when (milliseconds since the epoch) a microVM stays awake. */
export class LeaseRepository {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async set(microvmId: string, endsAt: number): Promise<void> {
    await this.#store
      .insertInto('leases')
      .values({ microvm_id: microvmId, ends_at: endsAt })
      .onConflict((conflict) => conflict.column('microvm_id').doUpdateSet({ ends_at: endsAt }))
      .execute();
  }

  async remove(microvmId: string): Promise<void> {
    await this.#store.deleteFrom('leases').where('microvm_id', '=', microvmId).execute();
  }

  async listAll(): Promise<readonly { readonly microvmId: string; readonly endsAt: number }[]> {
    const rows = await this.#store.selectFrom('leases').selectAll().execute();
    return rows.map((row) => ({ microvmId: row.microvm_id, endsAt: row.ends_at }));
  }
}
