import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { waterfall } from './waterfall.ts';

test('a waterfall draws each step to scale, and never outside', () => {
  const text = waterfall('launch', {
    durationMs: 100,
    steps: [
      { name: 'checks', startMs: 0, durationMs: 25, failed: false },
      { name: 'QEMU started', startMs: 25, durationMs: 50, failed: false },
      { name: '/run hook', startMs: 99.9, durationMs: 0.1, failed: true },
      { name: 'after the end', startMs: 120, durationMs: 300, failed: false },
    ],
  });
  assert.deepEqual(stripVTControlCharacters(text).split('\n'), [
    '  launch                at ms    100.0 ms',
    '  checks                  0.0     25.0  ████████',
    '  QEMU started           25.0     50.0          ████████████████',
    '  /run hook (failed)     99.9      0.1                                 █',
    '  after the end         120.0    300.0                                 █',
  ]);
});

test('a transition that took no time and had no steps is one line', () => {
  assert.equal(
    stripVTControlCharacters(waterfall('launch', { durationMs: 0, steps: [] })),
    '  launch    at ms      0.0 ms',
  );
});
