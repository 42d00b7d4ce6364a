import type { Kysely } from 'kysely';

/** Ports of microVMs opened on the host, and leases that keep microVMs awake. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('published_ports')
    .addColumn('microvm_id', 'text', (c) => c.notNull())
    .addColumn('protocol', 'text', (c) => c.notNull())
    .addColumn('guest_port', 'integer', (c) => c.notNull())
    .addColumn('host_port', 'integer', (c) => c.notNull())
    .addColumn('allow', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('published_ports_key', ['microvm_id', 'protocol', 'guest_port'])
    .addUniqueConstraint('published_ports_host_port', ['protocol', 'host_port'])
    .execute();
  await db.schema
    .createTable('leases')
    .addColumn('microvm_id', 'text', (c) => c.primaryKey())
    .addColumn('ends_at', 'bigint', (c) => c.notNull())
    .execute();
}
