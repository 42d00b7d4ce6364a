import type { Selectable } from 'kysely';
import type { Store } from './database.ts';
import { held } from './dialect.ts';
import type { LogGroupsTable } from './schema.ts';

/** What was set on a log group. */
export interface LogGroupSettings {
  readonly name: string;
  /** Days that a stream is kept which nothing is written to; null for as long as the server keeps any. */
  readonly retentionDays: number | null;
  readonly tags: Readonly<Record<string, string>>;
  /** Epoch milliseconds. */
  readonly createdAt: number;
}

/** Rows of log groups that somebody has made or set something on. */
export class LogGroupRepository {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async list(): Promise<readonly LogGroupSettings[]> {
    const rows = await this.#store.selectFrom('log_groups').selectAll().orderBy('name').execute();
    return rows.map(fromRow);
  }

  async find(name: string): Promise<LogGroupSettings | undefined> {
    const row = await this.#store
      .selectFrom('log_groups')
      .selectAll()
      .where('name', '=', name)
      .executeTakeFirst();
    return row === undefined ? undefined : fromRow(row);
  }

  /** Days that groups are kept on which it was set. */
  async retentions(): Promise<ReadonlyMap<string, number>> {
    return new Map(
      (await this.list()).flatMap(({ name, retentionDays }) =>
        retentionDays === null ? [] : [[name, retentionDays] as const],
      ),
    );
  }

  async count(): Promise<number> {
    const { count } = await this.#store
      .selectFrom('log_groups')
      .select(({ fn }) => fn.countAll<number | bigint | string>().as('count'))
      .executeTakeFirstOrThrow();
    return Number(count);
  }

  /** Says whether there was none of the name yet. */
  async insert(group: LogGroupSettings): Promise<boolean> {
    const result = await this.#store
      .insertInto('log_groups')
      .values(toRow(group))
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
  }

  /** Changes what is set on a group; `change` may throw to refuse. Does nothing for one without a row. */
  async update(name: string, change: (group: LogGroupSettings) => LogGroupSettings): Promise<void> {
    await this.#store.transaction().execute(async (trx) => {
      const query = trx.selectFrom('log_groups').selectAll().where('name', '=', name);
      const row = await held(trx, query).executeTakeFirst();
      if (row === undefined) return;
      const { retention_days, tags } = toRow(change(fromRow(row)));
      await trx.updateTable('log_groups').set({ retention_days, tags }).where('name', '=', name).execute();
    });
  }

  /** Says whether there was such a row. */
  async remove(name: string): Promise<boolean> {
    const result = await this.#store.deleteFrom('log_groups').where('name', '=', name).executeTakeFirst();
    return result.numDeletedRows > 0n;
  }
}

function fromRow(row: Selectable<LogGroupsTable>): LogGroupSettings {
  return {
    name: row.name,
    retentionDays: row.retention_days,
    tags: JSON.parse(row.tags) as LogGroupSettings['tags'],
    createdAt: row.created_at,
  };
}

function toRow(group: LogGroupSettings): Selectable<LogGroupsTable> {
  return {
    name: group.name,
    retention_days: group.retentionDays,
    tags: JSON.stringify(group.tags),
    created_at: group.createdAt,
  };
}
