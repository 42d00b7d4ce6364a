import { PostgresDialect, type PostgresPoolClient, type PostgresQueryResult } from 'kysely';
import pg from 'pg';
import { storeFailure } from './store-failure.ts';

/** Connections at most: one for each statement or transaction under way. */
const poolSize = 10;
const connectTimeoutMs = 10_000;
/** No statement of ours takes long; one that waits for a lock this long has met a fault. */
const statementTimeoutMs = 60_000;

/** Type number of `bigint`, which the driver would give as text: arithmetic on that goes wrong without a word. */
const int8 = 20;

/** A commit is on the server's disk before it is reported done, whatever the server's default is. */
const durably =
  "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') in ('off', 'local')";

type TypeParser = (text: string) => unknown;

/** Readers of the texts that the server sends, by type. */
const types = {
  getTypeParser: (type: number, format?: 'text' | 'binary'): TypeParser =>
    type === int8 && format !== 'binary' ? safeInteger : (pg.types.getTypeParser(type, format) as TypeParser),
};

/** @throws {RangeError} it is beyond what a number holds exactly */
function safeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value))
    throw new RangeError(`the store holds a number that is too large: ${text}`);
  return value;
}

/**
 * Kysely's PostgreSQL dialect over `pg`. What the server or the way to it is short of comes as a
 * {@link StoreUnavailableError}, so that it is waited for like a full disk.
 * @param url `postgres://USER@HOST:PORT/DATABASE`; what it lacks comes from the PG* variables and ~/.pgpass
 */
export function createPostgresDialect(url: string): PostgresDialect {
  const pool = new pg.Pool({
    connectionString: url,
    max: poolSize,
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    application_name: 'dormouse',
    keepAlive: true,
    types,
    // A failure to say so fails the connection, and is told by the statement that wanted it.
    onConnect: async (client) => {
      await client.query(durably);
    },
  });
  // A connection that ends while nobody uses it is no news: the next statement makes another.
  pool.on('error', () => undefined);
  // Nor is one that ends while it is held and nothing is asked of it, which its next statement tells; unheard, it would
  // end the server.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return new PostgresDialect({
    pool: {
      options: pool.options,
      connect: () => pool.connect().then(watched, fail),
      end: () => pool.end(),
    },
  });
}

/** The connection, with its failures told apart. */
function watched(client: pg.PoolClient): PostgresPoolClient {
  const query = (sql: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<unknown>> =>
    client
      .query(sql, [...parameters])
      .then(
        (result) => ({ ...result, command: result.command as 'SELECT', rowCount: result.rowCount ?? 0 }),
        fail,
      );
  // Kysely's other form of the call is for cursors, which the product does not use.
  return { query: query as PostgresPoolClient['query'], release: () => client.release() };
}

function fail(error: unknown): never {
  throw storeFailure(error);
}
