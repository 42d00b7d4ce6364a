import type { Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('images')
    .addColumn('image_arn', 'text', (c) => c.primaryKey())
    .addColumn('id', 'text', (c) => c.notNull().unique())
    .addColumn('name', 'text', (c) => c.notNull().unique())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('latest_active_version', 'text')
    .addColumn('latest_failed_version', 'text')
    .addColumn('next_version', 'integer', (c) => c.notNull())
    .addColumn('tags', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute();

  await db.schema
    .createTable('image_versions')
    .addColumn('image_arn', 'text', (c) => c.notNull().references('images.image_arn').onDelete('cascade'))
    .addColumn('version', 'integer', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('status', 'text', (c) => c.notNull())
    .addColumn('state_reason', 'text')
    .addColumn('configuration', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('image_versions_key', ['image_arn', 'version'])
    .execute();

  await db.schema
    .createTable('image_builds')
    .addColumn('build_id', 'text', (c) => c.primaryKey())
    .addColumn('image_arn', 'text', (c) => c.notNull().references('images.image_arn').onDelete('cascade'))
    .addColumn('version', 'integer', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('architecture', 'text', (c) => c.notNull())
    .addColumn('state_reason', 'text')
    .addColumn('snapshot_sizes', 'text')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .execute();
  await db.schema
    .createIndex('image_builds_by_version')
    .on('image_builds')
    .columns(['image_arn', 'version', 'created_at'])
    .execute();

  await db.schema
    .createTable('microvms')
    .addColumn('microvm_id', 'text', (c) => c.primaryKey())
    .addColumn('endpoint_id', 'text', (c) => c.notNull().unique())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('state_reason', 'text')
    .addColumn('image_arn', 'text', (c) => c.notNull())
    .addColumn('image_version', 'text', (c) => c.notNull())
    .addColumn('execution_role_arn', 'text')
    .addColumn('idle_policy', 'text')
    .addColumn('logging', 'text')
    .addColumn('maximum_duration_seconds', 'bigint', (c) => c.notNull())
    .addColumn('ingress_connectors', 'text', (c) => c.notNull())
    .addColumn('egress_connectors', 'text', (c) => c.notNull())
    .addColumn('memory_mib', 'integer', (c) => c.notNull())
    .addColumn('run_hook_payload', 'text')
    .addColumn('started_at', 'bigint', (c) => c.notNull())
    .addColumn('suspended_at', 'bigint')
    .addColumn('terminated_at', 'bigint')
    .addColumn('last_activity_at', 'bigint', (c) => c.notNull())
    .execute();
  await db.schema
    .createIndex('microvms_by_start')
    .on('microvms')
    .columns(['started_at', 'microvm_id'])
    .execute();
  await db.schema
    .createIndex('microvms_by_image')
    .on('microvms')
    .columns(['image_arn', 'started_at', 'microvm_id'])
    .execute();
  await db.schema.createIndex('microvms_by_state').on('microvms').column('state').execute();

  await db.schema
    .createTable('client_tokens')
    .addColumn('scope', 'text', (c) => c.notNull())
    .addColumn('token', 'text', (c) => c.notNull())
    .addColumn('parameters_digest', 'text', (c) => c.notNull())
    .addColumn('resource', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('client_tokens_key', ['scope', 'token'])
    .execute();
  await db.schema.createIndex('client_tokens_by_resource').on('client_tokens').column('resource').execute();

  await db.schema
    .createTable('settings')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('value', 'text', (c) => c.notNull())
    .execute();

  await db.schema
    .createTable('s3_buckets')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('s3_objects')
    .addColumn('bucket', 'text', (c) => c.notNull().references('s3_buckets.name'))
    .addColumn('key', 'text', (c) => c.notNull())
    .addColumn('blob', 'text', (c) => c.notNull())
    .addColumn('size', 'bigint', (c) => c.notNull())
    .addColumn('etag', 'text', (c) => c.notNull())
    .addColumn('content_type', 'text')
    .addColumn('metadata', 'text', (c) => c.notNull())
    .addColumn('modified_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('s3_objects_key', ['bucket', 'key'])
    .execute();
  await db.schema
    .createTable('s3_uploads')
    .addColumn('upload_id', 'text', (c) => c.primaryKey())
    .addColumn('bucket', 'text', (c) => c.notNull().references('s3_buckets.name'))
    .addColumn('key', 'text', (c) => c.notNull())
    .addColumn('content_type', 'text')
    .addColumn('metadata', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .execute();
}
