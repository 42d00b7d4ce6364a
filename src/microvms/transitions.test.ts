import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { ManualClock } from './manual-clock-for-test.ts';
import { Transitions } from './transitions.ts';

const logger = pino({ level: 'silent' });
const never = new AbortController().signal;

function host(processors: number) {
  const clock = new ManualClock();
  const transitions = new Transitions({ clock, logger, processors });
  let quietSince: number | undefined;
  void transitions.quiet(never).then(() => {
    quietSince = clock.now();
  });
  return {
    /** One that is under way until the returned function is called. */
    begin(): () => void {
      const { promise, resolve } = Promise.withResolvers<void>();
      void transitions.record('vm', 'launch', () => promise);
      return resolve;
    },
    /** Lets time pass; when it was found quiet, in milliseconds. */
    async after(time: number): Promise<number | undefined> {
      for (let now = clock.now(); now < time; ) {
        now = Math.min(time, now + 100);
        clock.advanceTo(now);
        await new Promise(setImmediate);
      }
      return quietSince;
    },
  };
}

test('a host is quiet once nothing has been under way for a moment', async () => {
  const { begin, after } = host(2);
  const end = begin();
  assert.equal(await after(1000), undefined);
  end();
  await after(1100);
  begin()();
  assert.equal(await after(1200), undefined, 'something began meanwhile');
  assert.equal(await after(2000), 1400);
});

test('a host with many processors is quiet with half of them in use', async () => {
  const { begin, after } = host(8);
  const ends = [begin(), begin(), begin(), begin()];
  assert.equal(await after(1000), undefined);
  ends[0]?.();
  assert.equal(await after(1400), 1200);
});

test('a host that is never quiet is waited for no longer than a while', async () => {
  const { begin, after } = host(2);
  begin();
  assert.equal(await after(4900), undefined);
  assert.equal(await after(6000), 5000);
});
