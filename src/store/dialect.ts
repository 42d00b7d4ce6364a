import { type Kysely, PostgresAdapter } from 'kysely';

export type DialectName = 'sqlite' | 'postgres';

/** Dialect of an open database, for the few statements that the two do not share: those of migrations. */
export function dialectOf<Tables>(database: Kysely<Tables>): DialectName {
  return database.getExecutor().adapter instanceof PostgresAdapter ? 'postgres' : 'sqlite';
}

/**
 * Rows that a transaction reads to decide by, held until it ends: others who would decide by them wait. SQLite runs one
 * transaction at a time, which holds everything.
 */
export function held<Tables, Query extends { forUpdate(): Query }>(
  database: Kysely<Tables>,
  query: Query,
): Query {
  return dialectOf(database) === 'postgres' ? query.forUpdate() : query;
}
