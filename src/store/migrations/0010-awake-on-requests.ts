import type { Kysely } from 'kysely';

/** Whether requests under way keep a microVM awake, where its owner has said what does. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('activity_settings')
    .addColumn('requests', 'integer', (c) => c.notNull().defaultTo(0))
    .execute();
}
