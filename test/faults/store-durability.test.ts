/*
 * What SQLite does for the store, call by call: a commit is on the disk before anybody hears of it, and what it is
 * kept in until then is overwritten only once that is on the disk as well.
 */
import assert from 'node:assert/strict';
import { cp, mkdtemp, open, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openDatabase } from '../../src/store/database.ts';
import { absence } from '../support/programs.ts';
import { systemCalls } from '../support/system-calls.ts';

const writer = fileURLToPath(new URL('../support/store-writer.ts', import.meta.url));
const commits = 60;
const noTracer = await absence('strace', 'strace');

describe('the store', () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-store-'));
  });
  after(() => rm(directory, { recursive: true, force: true }));

  it('has a commit on the disk before it is told', { skip: noTracer }, async () => {
    const database = path.join(directory, 'store.sqlite');
    const log = `${database}-wal`;
    const command = [
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      writer,
      database,
      String(commits),
    ];
    const calls = await systemCalls(command, directory, path.join(directory, 'calls'));

    const unsynced = new Set<string>();
    let told = 0;
    let copied = 0;
    for (const { name, subject } of calls) {
      // An index of the log, made anew after a crash.
      if (subject.endsWith('-shm')) continue;
      if (name === 'sync') unsynced.delete(subject);
      if (name === 'create') unsynced.add(directory);
      if (name === 'write') {
        if (subject === database) {
          copied += 1;
          assert.ok(!unsynced.has(log), 'the database was written before the log was durable');
        }
        // It begins anew only after its content was copied.
        if (subject === log && copied > 0)
          assert.ok(!unsynced.has(database), 'the log was overwritten too early');
        unsynced.add(subject);
      }
      if (name === 'say') {
        told += 1;
        assert.deepEqual([...unsynced], [], 'told before it was durable');
      }
    }
    assert.equal(told, commits);
    assert.ok(copied > 100, 'the log was never copied into the database');
  });

  it('loses nothing by a torn end of the log', async () => {
    const file = path.join(directory, 'torn.sqlite');
    const torn = path.join(directory, 'copy.sqlite');
    const store = await openDatabase(file);
    try {
      await store.insertInto('settings').values({ name: 'kept', value: 'yes' }).execute();
      await cp(file, torn);
      await cp(`${file}-wal`, `${torn}-wal`);
    } finally {
      await store.destroy();
    }
    const log = await open(`${torn}-wal`, 'a');
    await log.write(Buffer.alloc(3000, 0x5a));
    await log.close();
    const found = await openDatabase(torn);
    try {
      const rows = await found.selectFrom('settings').select('value').where('name', '=', 'kept').execute();
      assert.deepEqual(
        rows.map(({ value }) => value),
        ['yes'],
      );
    } finally {
      await found.destroy();
    }
  });
});
