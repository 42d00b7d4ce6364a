import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readLimits, stepLimits } from './process-limits.ts';

const limits = `Limit                     Soft Limit           Hard Limit           Units
Max processes             95962                unlimited            processes
Max open files            1024                 20000                files
`;

test('the limits of a step are those of the host, lowered where that is asked for', () => {
  assert.deepEqual(readLimits(limits, {}), ['nofile=1024:20000', 'nproc=95962:-1']);
  assert.deepEqual(readLimits(limits, { nproc: 4096 }), ['nofile=1024:20000', 'nproc=4096:4096']);
});

test('the limits of this process are read', async () => {
  const read = await stepLimits({});
  assert.equal(read.length, 2);
  for (const limit of read) assert.match(limit, /^no?[a-z]+=(-1|\d+):(-1|\d+)$/);
});
