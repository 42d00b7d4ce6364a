/** `node:sqlite` as a simulated server sees it: see register.ts. */
import * as real from 'node:sqlite';
import { type FailureCode, ServerProcess } from '../server-process.ts';

const errors: Readonly<Record<FailureCode, { errcode: number; errstr: string }>> = {
  EIO: { errcode: 10, errstr: 'disk I/O error' },
  ENOSPC: { errcode: 13, errstr: 'database or disk is full' },
  EROFS: { errcode: 8, errstr: 'attempt to write a readonly database' },
};

function failure(code: FailureCode): Error {
  return Object.assign(new Error(errors[code].errstr), { code: 'ERR_SQLITE_ERROR', ...errors[code] });
}

/** A statement is a step; one that only reads has no effect. */
function step<Result>(sql: string, work: () => Result): Result {
  const server = ServerProcess.current;
  if (server === undefined) return work();
  const effect = !/^\s*(select|pragma|begin|rollback)/i.test(sql);
  const name = sql.replaceAll(/\s+/g, ' ').slice(0, 90);
  // What undoes a transaction cannot be refused: SQLite would have undone it by itself.
  return server.stepSync({ name, effect, mayFail: !/^\s*rollback/i.test(sql) }, work, failure);
}

/** As much of a statement as Kysely's dialect uses. */
interface Statement {
  columns(): ReturnType<real.StatementSync['columns']>;
  all(...values: real.SQLInputValue[]): unknown[];
  run(...values: real.SQLInputValue[]): real.StatementResultingChanges;
  iterate(...values: real.SQLInputValue[]): Iterator<unknown>;
}

/** Closed by a crash as the kernel would: what was not committed is gone. */
export class DatabaseSync {
  readonly #database: real.DatabaseSync;

  constructor(file: string) {
    this.#database = new real.DatabaseSync(file);
    ServerProcess.current?.onCrash(() => {
      if (!this.#database.isOpen) return;
      if (this.#database.isTransaction) this.#database.exec('rollback');
      this.#database.close();
    });
  }

  get isTransaction(): boolean {
    return this.#database.isTransaction;
  }

  exec(sql: string): void {
    step(sql, () => this.#database.exec(sql));
  }

  close(): void {
    this.#database.close();
  }

  /** A statement outside a transaction, or the end of one, is a commit of its own. */
  #committing<Result>(sql: string, work: () => Result): Result {
    const result = step(sql, work);
    if (!this.#database.isTransaction && !/^\s*(select|pragma|rollback)/i.test(sql)) {
      ServerProcess.current?.disk?.committed();
    }
    return result;
  }

  prepare(sql: string): Statement {
    const statement = this.#database.prepare(sql);
    return {
      columns: () => statement.columns(),
      all: (...values: real.SQLInputValue[]) => this.#committing(sql, () => statement.all(...values)),
      run: (...values: real.SQLInputValue[]) => this.#committing(sql, () => statement.run(...values)),
      iterate: (...values: real.SQLInputValue[]) => step(sql, () => statement.iterate(...values)),
    };
  }
}
