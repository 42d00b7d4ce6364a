import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageHistory, usagesOf } from './usage-history.ts';

const usage = (cpuSeconds: number, microvmId = 'a') => ({
  microvmId,
  memoryMib: 4096,
  cpuSeconds,
  residentBytes: 2 ** 30,
});

test('rates are of the time between two looks, and of the size', () => {
  const history = new UsageHistory();
  history.record(0, [usage(10)]);
  assert.deepEqual(history.of('a'), []);
  history.record(60_000, [usage(70)]);
  assert.deepEqual(history.of('a'), [{ time: 60_000, cpuPercent: 50, memoryPercent: 25 }]);
  // A wake: the process is another one, and what it used is not more than before.
  history.record(120_000, [usage(1)]);
  history.record(180_000, [usage(1)]);
  assert.deepEqual(
    history.of('a').map(({ time, cpuPercent }) => [time, cpuPercent]),
    [
      [60_000, 50],
      [180_000, 0],
    ],
  );
  assert.deepEqual(history.of('b'), []);
});

test('what is kept is bounded, for one and for all', () => {
  const history = new UsageHistory();
  for (let minute = 0; minute < 500; minute += 1) history.record(minute * 60_000, [usage(minute)]);
  assert.equal(history.of('a').length, 180);
  assert.equal(history.of('a').at(-1)?.time, 499 * 60_000);
  history.record(
    500 * 60_000,
    Array.from({ length: 2000 }, (_, index) => usage(0, `vm-${index}`)),
  );
  assert.deepEqual(history.of('a'), []);
});

test('one whose process ends meanwhile is left out', async () => {
  const vm = { microvmId: 'a', memoryMib: 512 };
  const read = async () => ({ cpuSeconds: 1, residentBytes: 2 });
  const fail = async () => {
    throw new Error('no such process');
  };
  const found = await usagesOf([
    { vm, live: { instance: { usage: read } } },
    { vm: { ...vm, microvmId: 'b' }, live: { instance: { usage: fail } } },
    { vm: { ...vm, microvmId: 'c' }, live: undefined },
  ]);
  assert.deepEqual(found, [{ ...vm, cpuSeconds: 1, residentBytes: 2 }]);
});
