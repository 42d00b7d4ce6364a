import { chmod } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
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

/**
 * Opens a store that is there to look at it: nothing is migrated or changed.
 * @returns `problems` reads all of the file, and says what of it is not as it should be
 */
export function openToRead(file: string): { store: Store; problems: () => readonly string[] } {
  const database = new DatabaseSync(file, { readOnly: true });
  return {
    store: new Kysely<Database>({ dialect: createSqliteDialect(database) }),
    problems: () => problemsOf(database),
  };
}

function problemsOf(database: DatabaseSync): readonly string[] {
  try {
    const found = database.prepare('PRAGMA integrity_check').all();
    const texts = found.map((row) => String(row.integrity_check)).filter((text) => text !== 'ok');
    const dangling = database.prepare('PRAGMA foreign_key_check').all();
    return [
      ...texts,
      ...dangling.map(({ table, parent }) => `a row of ${table} refers to no row of ${parent}`),
    ];
  } catch (error) {
    // A file that cannot be read so far as to be checked.
    return [error instanceof Error ? error.message : String(error)];
  }
}
