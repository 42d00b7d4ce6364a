import { sql } from 'kysely';
import type { Store } from './database.ts';

/**
 * Makes PostgreSQL compare all text of ours byte by byte, as SQLite does: pages, names and keys have one order
 * whatever language the database was made for. Changes nothing where that is so.
 */
export async function sortTextByBytes(store: Store): Promise<void> {
  await store.transaction().execute(async (transaction) => {
    // Another server that starts now waits here, and then finds nothing to do.
    await sql`select pg_advisory_xact_lock(${lockNumber})`.execute(transaction);
    const { rows } = await sql<{ table_name: string; column_name: string }>`
      select table_name, column_name from information_schema.columns
      where table_schema = current_schema() and data_type = 'text' and collation_name is distinct from 'C'
        and table_name not like 'kysely%'`.execute(transaction);
    for (const { table_name, column_name } of rows) {
      await sql`alter table ${sql.table(table_name)} alter column ${sql.ref(column_name)} type text collate "C"`.execute(
        transaction,
      );
    }
  });
}

/** Any number that nobody else uses as a lock in a database of ours. */
const lockNumber = 7_300_411;
