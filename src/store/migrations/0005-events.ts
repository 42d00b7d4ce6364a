import type { Kysely } from 'kysely';
import { dialectOf } from '../dialect.ts';

/** State changes as a stream, and the webhooks that are told of them. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('events')
    .addColumn('sequence', dialectOf(db) === 'postgres' ? 'bigint' : 'integer', (c) =>
      dialectOf(db) === 'postgres'
        ? c.primaryKey().generatedByDefaultAsIdentity()
        : c.primaryKey().autoIncrement(),
    )
    .addColumn('time', 'bigint', (c) => c.notNull())
    .addColumn('subject', 'text', (c) => c.notNull())
    .addColumn('microvm_id', 'text')
    .addColumn('image_arn', 'text', (c) => c.notNull())
    .addColumn('image_version', 'text')
    .addColumn('build_id', 'text')
    .addColumn('from_state', 'text')
    .addColumn('to_state', 'text', (c) => c.notNull())
    .addColumn('reason', 'text')
    .execute();
  await db.schema.createIndex('events_by_time').on('events').column('time').execute();

  await db.schema
    .createTable('webhooks')
    .addColumn('webhook_id', 'text', (c) => c.primaryKey())
    .addColumn('url', 'text', (c) => c.notNull())
    .addColumn('filter', 'text', (c) => c.notNull())
    .addColumn('sealed_secret', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('position', 'bigint', (c) => c.notNull())
    .addColumn('delivered', 'bigint', (c) => c.notNull())
    .addColumn('missed', 'bigint', (c) => c.notNull())
    .addColumn('last_delivered_at', 'bigint')
    .addColumn('attempts', 'integer', (c) => c.notNull())
    .addColumn('failing_since', 'bigint')
    .addColumn('last_error', 'text')
    .addColumn('dead_at', 'bigint')
    .execute();
}
