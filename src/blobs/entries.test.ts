import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { entries, isThere } from './entries.ts';

test('what is missing is told from what cannot be looked at', async (t) => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-entries-'));
  t.after(() => rm(directory, { recursive: true }));
  const file = path.join(directory, 'file');
  await writeFile(file, '');
  assert.deepEqual([await isThere(file), await isThere(path.join(directory, 'none'))], [true, false]);
  assert.deepEqual([await entries(directory), await entries(path.join(directory, 'none'))], [['file'], []]);
  const below = path.join(file, 'below');
  for (const look of [isThere, entries]) await assert.rejects(look(below), { code: 'ENOTDIR' });
});
