import { chmod } from 'node:fs/promises';
import { Kysely } from 'kysely';
import { Migrator } from 'kysely/migration';
import { migrations } from './migrations/index.ts';
import type { Database } from './schema.ts';
import { createSqliteDialect, openSqlite } from './sqlite-dialect.ts';

export type Store = Kysely<Database>;

/**
 * Opens (and creates or migrates) the metadata store.
 * @param file path of the SQLite file, or `:memory:` in tests
 * @throws when the file was written by a newer version of Dormouse, or cannot be opened
 */
export async function openDatabase(file: string): Promise<Store> {
  const store = new Kysely<Database>({ dialect: createSqliteDialect(openSqlite(file)) });
  const migrator = new Migrator({ db: store, provider: { getMigrations: async () => ({ ...migrations }) } });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) {
    await store.destroy();
    throw new Error(`cannot bring the store ${file} up to date`, { cause: error });
  }
  if (file !== ':memory:') await chmod(file, 0o600);
  return store;
}
