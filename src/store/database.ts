import { chmod } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { type Dialect, Kysely } from 'kysely';
import { Migrator } from 'kysely/migration';
import { sortTextByBytes } from './byte-order.ts';
import { migrations } from './migrations/index.ts';
import { createPostgresDialect } from './postgres-dialect.ts';
import type { Database } from './schema.ts';
import { createSqliteDialect, openSqlite } from './sqlite-dialect.ts';

export type Store = Kysely<Database>;

const postgresScheme = /^postgres(ql)?:\/\//;

/**
 * Opens (and creates or migrates) the metadata store.
 * @param location path of a SQLite file, `:memory:` in tests, or a `postgres://` URL
 * @throws when it was written by a newer version of Dormouse, or cannot be opened
 */
export async function openDatabase(location: string): Promise<Store> {
  if (postgresScheme.test(location)) {
    const name = describeLocation(location);
    return await migrated(createPostgresDialect(location), name, sortTextByBytes);
  }
  return await migrated(createSqliteDialect(openSqlite(location)), location, async () => {
    if (location !== ':memory:') await chmod(location, 0o600);
  });
}

/** A store's location without what nobody but its server is to know. */
export function describeLocation(location: string): string {
  if (!postgresScheme.test(location)) return location;
  const { hostname, port, pathname } = new URL(location);
  return `PostgreSQL ${hostname}${port === '' ? '' : `:${port}`}${pathname}`;
}

async function migrated(
  dialect: Dialect,
  name: string,
  finish: (store: Store) => Promise<void>,
): Promise<Store> {
  const store = new Kysely<Database>({ dialect });
  try {
    const migrator = new Migrator({
      db: store,
      provider: { getMigrations: async () => ({ ...migrations }) },
    });
    const { error } = await migrator.migrateToLatest();
    if (error !== undefined) throw error;
    await finish(store);
    return store;
  } catch (error) {
    await store.destroy();
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`cannot bring the store ${name} up to date: ${why}`, { cause: error });
  }
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
