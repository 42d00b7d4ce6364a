import assert from 'node:assert/strict';
import { test } from 'node:test';
import { step, Trace } from './trace.ts';

test('steps are recorded wherever they are taken, in the order of beginning', async () => {
  const trace = new Trace(1000);
  const inner = Promise.withResolvers<void>();
  await trace.run(async () => {
    const outer = step('outer', async () => {
      await step('inner', () => inner.promise);
    });
    await assert.rejects(
      step('broken', async () => {
        throw new Error('no');
      }),
    );
    inner.resolve();
    await outer;
  });
  const { startedAt, durationMs, steps } = trace.end();
  await trace.run(() => step('late', async () => undefined));
  assert.equal(startedAt, 1000);
  assert.deepEqual(
    steps.map(({ name, failed }) => ({ name, failed })),
    [
      { name: 'outer', failed: false },
      { name: 'inner', failed: false },
      { name: 'broken', failed: true },
    ],
  );
  for (const { startMs, durationMs: took } of steps) assert.ok(startMs >= 0 && startMs + took <= durationMs);
});

test('traces that run at the same time do not mix, and without one a step is only its work', async () => {
  const traces = [new Trace(0), new Trace(0)];
  await Promise.all(
    traces.map((trace, index) =>
      trace.run(async () => {
        await null;
        await step(`of ${index}`, async () => undefined);
      }),
    ),
  );
  assert.equal(await step('of none', async () => 7), 7);
  assert.deepEqual(
    traces.map((trace) => trace.end().steps.map(({ name }) => name)),
    [['of 0'], ['of 1']],
  );
});

test('a trace is bounded', async () => {
  const trace = new Trace(0);
  await trace.run(async () => {
    for (let index = 0; index < 1000; index += 1) await step('again', async () => undefined);
  });
  assert.equal(trace.end().steps.length, 200);
});
