import type { Kysely } from 'kysely';

/** A forked VM starts from the difference of another, not from its version's snapshot. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('microvms').addColumn('forked_from', 'text').execute();
}
