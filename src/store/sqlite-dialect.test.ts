import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { Kysely, sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import { createSqliteDialect } from './sqlite-dialect.ts';

test('a full disk is reported as such, also within a transaction', async () => {
  const database = new DatabaseSync(':memory:');
  const store = new Kysely<Record<string, never>>({ dialect: createSqliteDialect(database) });
  await sql`create table lines (text text)`.execute(store);
  database.exec('PRAGMA max_page_count = 4');
  const fill = store.transaction().execute(async (transaction) => {
    await sql`insert into lines values (${'x'.repeat(100_000)})`.execute(transaction);
  });
  await assert.rejects(fill, /database or disk is full/);
  await sql`insert into lines values ('short')`.execute(store);
  await store.destroy();
});

test('a migration that is cut short leaves nothing behind', async () => {
  const store = new Kysely<Record<string, never>>({
    dialect: createSqliteDialect(new DatabaseSync(':memory:')),
  });
  let cutShort = true;
  const migration = {
    up: async (db: Kysely<Record<string, never>>): Promise<void> => {
      await sql`create table lines (text text)`.execute(db);
      if (cutShort) throw new Error('cut short');
    },
  };
  const migrator = new Migrator({
    db: store,
    provider: { getMigrations: async () => ({ first: migration }) },
  });
  assert.ok((await migrator.migrateToLatest()).error);
  cutShort = false;
  assert.equal((await migrator.migrateToLatest()).error, undefined);
  await store.destroy();
});
