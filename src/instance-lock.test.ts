import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { DataDirectoryInUseError, lockDataDirectory } from './instance-lock.ts';

test('a data directory has one server at a time', async (t) => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-lock-'));
  t.after(() => rm(directory, { recursive: true }));
  const release = await lockDataDirectory(directory);
  await assert.rejects(lockDataDirectory(path.join(directory, '.')), DataDirectoryInUseError);
  await release();
  await (await lockDataDirectory(directory))();
});
