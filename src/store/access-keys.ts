import type { Selectable } from 'kysely';
import type { Store } from './database.ts';
import type { AccessKeysTable } from './schema.ts';

export type AccessKeyRow = Selectable<AccessKeysTable>;

/** Rows of access keys. */
export class AccessKeyRepository {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** False where the name is taken. */
  async insert(row: AccessKeyRow): Promise<boolean> {
    const result = await this.#store
      .insertInto('access_keys')
      .values(row)
      .onConflict((conflict) => conflict.column('name').doNothing())
      .executeTakeFirst();
    return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
  }

  async list(): Promise<readonly AccessKeyRow[]> {
    return await this.#store.selectFrom('access_keys').selectAll().orderBy('name').execute();
  }

  async find(column: 'name' | 'access_key_id', value: string): Promise<AccessKeyRow | undefined> {
    return await this.#store
      .selectFrom('access_keys')
      .selectAll()
      .where(column, '=', value)
      .executeTakeFirst();
  }

  async count(): Promise<number> {
    const { count } = await this.#store
      .selectFrom('access_keys')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow();
    return Number(count);
  }

  /** Says whether there was such a key. */
  async replaceSecret(
    name: string,
    key: Pick<AccessKeyRow, 'access_key_id' | 'sealed_secret' | 'rotated_at'>,
  ): Promise<boolean> {
    const result = await this.#store
      .updateTable('access_keys')
      .set(key)
      .where('name', '=', name)
      .executeTakeFirst();
    return result.numUpdatedRows > 0n;
  }

  /** Says whether there was such a key. */
  async remove(name: string): Promise<boolean> {
    const result = await this.#store.deleteFrom('access_keys').where('name', '=', name).executeTakeFirst();
    return result.numDeletedRows > 0n;
  }
}
