import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { SqliteAdapter, SqliteDialect } from 'kysely';

/** Statements kept prepared; the product has far fewer distinct ones. */
const preparedLimit = 256;

/** SQLite can undo changes of the schema, which Kysely does not count on: a migration cut short leaves nothing. */
class Adapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

class Dialect extends SqliteDialect {
  override createAdapter(): Adapter {
    return new Adapter();
  }
}

/** Kysely's SQLite dialect over Node's built-in driver, so that nothing has to be compiled. */
export function createSqliteDialect(database: DatabaseSync): SqliteDialect {
  const prepared = new Map<string, StatementSync>();

  function prepare(sql: string): StatementSync {
    const known = prepared.get(sql);
    if (known !== undefined) return known;
    const statement = database.prepare(sql);
    if (prepared.size >= preparedLimit) prepared.clear();
    prepared.set(sql, statement);
    return statement;
  }

  /** A full disk or an I/O error ends the transaction by itself; to fail at that would hide why. */
  const isUndone = (sql: string): boolean => sql === 'rollback' && !database.isTransaction;
  const nothing = { changes: 0, lastInsertRowid: 0 };

  return new Dialect({
    database: {
      close: () => database.close(),
      prepare: (sql) => {
        const statement = prepare(sql);
        return {
          reader: statement.columns().length > 0,
          all: (parameters) => statement.all(...parameters.map(toSql)),
          run: (parameters) => (isUndone(sql) ? nothing : statement.run(...parameters.map(toSql))),
          iterate: (parameters) => statement.iterate(...parameters.map(toSql)) as IterableIterator<unknown>,
        };
      },
    },
  });
}

/** Opens the file so that a commit is on the disk before it is reported done. */
export function openSqlite(file: string): DatabaseSync {
  const database = new DatabaseSync(file);
  database.exec('PRAGMA journal_mode = WAL');
  database.exec('PRAGMA synchronous = FULL');
  database.exec('PRAGMA foreign_keys = ON');
  database.exec('PRAGMA busy_timeout = 5000');
  return database;
}

function toSql(value: unknown): SQLInputValue {
  if (
    value === null ||
    typeof value === 'string' ||
    typeof value === 'number' ||
    typeof value === 'bigint' ||
    value instanceof Uint8Array
  ) {
    return value;
  }
  if (typeof value === 'boolean') return value ? 1 : 0;
  throw new TypeError(`a value of type ${typeof value} cannot be stored`);
}
