import type { Kysely } from 'kysely';

/** Versions whose snapshot cannot be launched from as it is on the disk. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('image_versions').addColumn('condition', 'text').execute();
}
