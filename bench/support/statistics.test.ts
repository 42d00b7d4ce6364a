import assert from 'node:assert/strict';
import { test } from 'node:test';
import { summarize } from './statistics.ts';

test('quantiles are measured values, by nearest rank', () => {
  const samples = Array.from({ length: 200 }, (_, index) => 200 - index);
  assert.deepEqual(summarize(samples), { n: 200, median: 100, p99: 198, minimum: 1, maximum: 200 });
  assert.deepEqual(summarize([7]), { n: 1, median: 7, p99: 7, minimum: 7, maximum: 7 });
  assert.deepEqual(summarize([2, 1]), { n: 2, median: 1, p99: 2, minimum: 1, maximum: 2 });
});

test('nothing measured is not zero', () => {
  assert.throws(() => summarize([]), RangeError);
});
