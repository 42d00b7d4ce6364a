import type { Kysely } from 'kysely';

/** What clients have set on buckets: access blocks, encryption, lifecycle, policy, tags and their like. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('s3_bucket_settings')
    .addColumn('bucket', 'text', (c) => c.notNull().references('s3_buckets.name'))
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('document', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('s3_bucket_settings_key', ['bucket', 'name'])
    .execute();
}
