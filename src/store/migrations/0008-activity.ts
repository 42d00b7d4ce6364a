import type { Kysely } from 'kysely';

/** What keeps microVMs awake besides bytes. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('activity_settings')
    .addColumn('microvm_id', 'text', (c) => c.primaryKey())
    .addColumn('exec_sessions', 'integer', (c) => c.notNull())
    .addColumn('guest_cpu_percent', 'integer')
    .execute();
}
