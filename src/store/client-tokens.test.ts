import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { Kysely, sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import { findClaim, recordClaim } from './client-tokens.ts';
import { migrations } from './migrations/index.ts';
import type { Database } from './schema.ts';
import { createSqliteDialect } from './sqlite-dialect.ts';

test('of tokens of before principals were kept, only root finds what they made', async (t) => {
  const store = new Kysely<Database>({ dialect: createSqliteDialect(new DatabaseSync(':memory:')) });
  t.after(() => store.destroy());
  const migrator = new Migrator({ db: store, provider: { getMigrations: async () => migrations } });
  const claim = { scope: 'RunMicrovm', token: 't', parameters: {} };
  const root = { ...claim, principal: 'arn:aws:iam::123456789012:root' };
  const user = { ...claim, principal: 'arn:aws:iam::123456789012:user/a' };
  assert.equal((await migrator.migrateTo('0012-log-groups')).error, undefined);
  const digest = createHash('sha256').update('{}').digest('hex');
  await sql`insert into client_tokens values ('RunMicrovm', 't', ${digest}, 'microvm-1', 1)`.execute(store);
  assert.equal((await migrator.migrateToLatest()).error, undefined);
  assert.equal(await findClaim(store, root), 'microvm-1');
  assert.equal(await findClaim(store, user), undefined);
  await recordClaim(store, user, 'microvm-2', 2);
  assert.equal(await findClaim(store, user), 'microvm-2');
  assert.equal(await findClaim(store, root), 'microvm-1');
});
