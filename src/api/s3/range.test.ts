import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRange } from './range.ts';

test('reads one range of bytes', () => {
  assert.deepEqual(parseRange('bytes=0-0', 10), { start: 0, end: 0 });
  assert.deepEqual(parseRange('bytes=2-5', 10), { start: 2, end: 5 });
  assert.deepEqual(parseRange('bytes=2-', 10), { start: 2, end: 9 });
  assert.deepEqual(parseRange('bytes=2-99', 10), { start: 2, end: 9 });
  assert.deepEqual(parseRange('bytes=-3', 10), { start: 7, end: 9 });
  assert.deepEqual(parseRange('bytes=-99', 10), { start: 0, end: 9 });
});

test('gives the whole object where there is no one range', () => {
  assert.equal(parseRange(undefined, 10), undefined);
  for (const text of ['', 'bytes=', 'bytes=-', 'bytes=5-2', 'bytes=0-1,3-4', 'lines=1-2', 'bytes=a-b']) {
    assert.equal(parseRange(text, 10), undefined, text);
  }
});

test('refuses a range outside', () => {
  for (const text of ['bytes=10-', 'bytes=10-20', 'bytes=-0']) {
    assert.throws(() => parseRange(text, 10), { code: 'InvalidRange' }, text);
  }
  assert.throws(() => parseRange('bytes=0-', 0), { code: 'InvalidRange' });
});
