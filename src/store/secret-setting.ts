import type { Store } from './database.ts';

/** A secret made at its first use and kept in the store. */
export async function secretSetting(store: Store, name: string, make: () => Buffer): Promise<Buffer> {
  await store
    .insertInto('settings')
    .values({ name, value: make().toString('base64') })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute();
  const row = await store
    .selectFrom('settings')
    .select('value')
    .where('name', '=', name)
    .executeTakeFirstOrThrow();
  return Buffer.from(row.value, 'base64');
}
