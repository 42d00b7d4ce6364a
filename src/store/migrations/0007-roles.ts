import type { Kysely } from 'kysely';

/** Policies of roles that microVMs run under. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('role_policies')
    .addColumn('role_name', 'text', (c) => c.primaryKey())
    .addColumn('policy', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute();
}
