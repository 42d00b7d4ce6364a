import assert from 'node:assert/strict';
import { test } from 'node:test';
import { persistently } from './persistently.ts';

/** Runs what is scheduled at once, and notes how long it was to wait. */
function instantClock() {
  const delays: number[] = [];
  const schedule = (delayMs: number, callback: () => void): (() => void) => {
    delays.push(delayMs);
    setImmediate(callback);
    return () => undefined;
  };
  return { delays, clock: { now: () => 0, schedule } };
}

test('goes on until it succeeds, ever less often', async () => {
  const { clock, delays } = instantClock();
  const failures: unknown[] = [];
  let attempts = 0;
  const work = async (): Promise<string> => {
    attempts += 1;
    if (attempts < 12) throw new Error(`attempt ${attempts}`);
    return 'done';
  };
  const { signal } = new AbortController();
  assert.equal(
    await persistently(work, { clock, signal, onFailure: (error) => failures.push(error) }),
    'done',
  );
  assert.equal(failures.length, 11);
  assert.deepEqual(delays, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
});

test('ends with the signal, between attempts too', async () => {
  const end = new AbortController();
  const clock = { now: () => 0, schedule: () => () => undefined };
  const work = (): Promise<never> => Promise.reject(new Error('never'));
  const waiting = persistently(work, { clock, signal: end.signal, onFailure: () => undefined });
  end.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/);
});
