import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { StartGate } from './start-gate.ts';

test('so many go at once, the others in the order of coming, whatever becomes of those before', async () => {
  const gate = new StartGate(2);
  const works = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
  const begun: number[] = [];
  const all = works.map(({ promise }, index) =>
    gate.run(async () => {
      begun.push(index);
      await promise;
      return index;
    }),
  );
  const settled = Promise.allSettled(all);
  await turn();
  assert.deepEqual(begun, [0, 1]);
  works[1]?.reject(new Error('no'));
  await turn();
  assert.deepEqual(begun, [0, 1, 2]);
  for (const { resolve } of works) resolve();
  await settled;
  assert.deepEqual(begun, [0, 1, 2, 3, 4]);
  assert.equal(await gate.run(async () => 7), 7);
});

test('one that gives up while waiting takes nobody’s place', async () => {
  const gate = new StartGate(1);
  const first = Promise.withResolvers<void>();
  const running = gate.run(() => first.promise);
  const abort = new AbortController();
  const impatient = gate.run(async () => assert.fail('it had given up'), abort.signal);
  const patient = gate.run(async () => 'served');
  abort.abort(new Error('enough'));
  await assert.rejects(impatient, /enough/);
  first.resolve();
  await running;
  assert.equal(await patient, 'served');
  await assert.rejects(
    gate.run(async () => assert.fail('it had given up'), abort.signal),
    /enough/,
  );
  assert.equal(await gate.run(async () => 'free again'), 'free again');
});
