import type { Kysely } from 'kysely';

/** What clients have set on log groups. A group that is only written to has no row. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('log_groups')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('retention_days', 'integer')
    .addColumn('tags', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .execute();
}
