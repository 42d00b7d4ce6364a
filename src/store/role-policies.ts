import type { Store } from './database.ts';
import type { RolePoliciesTable } from './schema.ts';

/** Rows of role policies. */
export class RolePolicyRepository {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async put(row: RolePoliciesTable): Promise<void> {
    const { policy, updated_at } = row;
    await this.#store
      .insertInto('role_policies')
      .values(row)
      .onConflict((conflict) => conflict.column('role_name').doUpdateSet({ policy, updated_at }))
      .execute();
  }

  async find(roleName: string): Promise<RolePoliciesTable | undefined> {
    return await this.#store
      .selectFrom('role_policies')
      .selectAll()
      .where('role_name', '=', roleName)
      .executeTakeFirst();
  }

  async list(): Promise<readonly RolePoliciesTable[]> {
    return await this.#store.selectFrom('role_policies').selectAll().orderBy('role_name').execute();
  }

  /** Says whether there was such a row. */
  async remove(roleName: string): Promise<boolean> {
    const result = await this.#store
      .deleteFrom('role_policies')
      .where('role_name', '=', roleName)
      .executeTakeFirst();
    return result.numDeletedRows > 0n;
  }
}
