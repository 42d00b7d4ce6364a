import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogRetention } from './file-log-store.ts';
import { startLogSweeper } from './log-sweeper.ts';

const day = 86_400_000;

test('sweeps at once, again in an hour whatever came of it, and no more once stopped', async () => {
  const sweeps: LogRetention[] = [];
  const errors: unknown[] = [];
  let now = 40 * day;
  let scheduled: (() => void) | undefined;
  let armed = Promise.withResolvers<void>();
  const stop = startLogSweeper(
    {
      async sweep(retention) {
        sweeps.push(retention);
        throw new Error('the disk is gone');
      },
    },
    {
      retentionDays: 30,
      groupDays: async () => new Map([['/short', 7]]),
      totalBytes: 5,
      clock: {
        now: () => now,
        schedule(delayMs, callback) {
          assert.equal(delayMs, 3_600_000);
          scheduled = callback;
          armed.resolve();
          return () => {
            scheduled = undefined;
          };
        },
      },
      onError: (error) => errors.push(error),
    },
  );
  await armed.promise;
  armed = Promise.withResolvers();
  now += day;
  scheduled?.();
  await armed.promise;
  assert.deepEqual(sweeps, [
    { writtenSince: 10 * day, groups: new Map([['/short', 33 * day]]), totalBytes: 5 },
    { writtenSince: 11 * day, groups: new Map([['/short', 34 * day]]), totalBytes: 5 },
  ]);
  assert.equal(errors.length, 2);
  await stop();
  assert.equal(scheduled, undefined);
});
