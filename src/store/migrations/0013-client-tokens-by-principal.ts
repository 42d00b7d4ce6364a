import { type Kysely, sql } from 'kysely';

/**
 * Client tokens belong to who uses them. Whose those of before were is not known: they get no principal, and only
 * the account's root finds them.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.dropIndex('client_tokens_by_resource').execute();
  await db.schema.alterTable('client_tokens').renameTo('client_tokens_before').execute();
  await db.schema
    .createTable('client_tokens')
    .addColumn('principal', 'text', (c) => c.notNull())
    .addColumn('scope', 'text', (c) => c.notNull())
    .addColumn('token', 'text', (c) => c.notNull())
    .addColumn('parameters_digest', 'text', (c) => c.notNull())
    .addColumn('resource', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('client_tokens_by_principal', ['principal', 'scope', 'token'])
    .execute();
  await sql`insert into client_tokens
    select '', scope, token, parameters_digest, resource, created_at from client_tokens_before`.execute(db);
  await db.schema.dropTable('client_tokens_before').execute();
  await db.schema.createIndex('client_tokens_by_resource').on('client_tokens').column('resource').execute();
}
