import type { Kysely } from 'kysely';

/** Roles as clients of IAM make them, with their named policies, besides the one policy of `role_policies`. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('iam_roles')
    .addColumn('role_name', 'text', (c) => c.primaryKey())
    .addColumn('role_id', 'text', (c) => c.notNull())
    .addColumn('path', 'text', (c) => c.notNull())
    .addColumn('description', 'text')
    .addColumn('trust_policy', 'text', (c) => c.notNull())
    .addColumn('maximum_session_seconds', 'integer', (c) => c.notNull())
    .addColumn('inline_policies', 'text', (c) => c.notNull())
    .addColumn('attached_policies', 'text', (c) => c.notNull())
    .addColumn('tags', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute();
}
