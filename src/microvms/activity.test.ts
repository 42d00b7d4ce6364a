import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { bytesOnly } from '../model/activity.ts';
import { ActivitySettingsRepository } from '../store/activity-settings.ts';
import { openDatabase } from '../store/database.ts';
import { Activity, samplingMs } from './activity.ts';
import { ManualClock } from './manual-clock-for-test.ts';

const cpu = { requests: false, execSessions: false, guestCpuPercent: 20 };
const exec = { requests: false, execSessions: true, guestCpuPercent: null };

async function setUp(t: TestContext) {
  const store = await openDatabase(':memory:');
  t.after(() => store.destroy());
  const clock = new ManualClock();
  const repository = new ActivitySettingsRepository(store);
  return { clock, repository, activity: new Activity(repository, clock, bytesOnly) };
}

function process(cpuSeconds: number) {
  return { usage: async () => ({ residentBytes: 0, proportionalBytes: 0, cpuSeconds }) };
}

test('settings outlast the server, and end with their microVM', async (t) => {
  const { clock, repository, activity } = await setUp(t);
  await activity.set('a', cpu);
  await activity.set('a', exec);
  await activity.set('b', cpu);
  await activity.set('gone', cpu);
  const next = new Activity(repository, clock, bytesOnly);
  await next.recover(new Set(['a', 'b']));
  assert.deepEqual(
    [next.settingsOf('a'), next.settingsOf('b'), next.settingsOf('gone')],
    [exec, cpu, bytesOnly],
  );
  await next.forget('a');
  assert.deepEqual(next.settingsOf('a'), bytesOnly);
  assert.deepEqual(await repository.listAll(), [{ microvmId: 'b', settings: cpu }]);
});

test('a session counts from its beginning to its end', async (t) => {
  const { activity } = await setUp(t);
  await activity.set('a', exec);
  const exits = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const seen: boolean[] = [];
  for (const exit of exits) {
    activity.watchSession('a', exit.promise, async () => {
      seen.push(await activity.isBusy('a', process(0)));
    });
  }
  activity.watchSession('b', new Promise(() => undefined), async () => undefined);
  for (const exit of exits) {
    assert.equal(await activity.isBusy('a', process(0)), true);
    exit.resolve();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(seen, [true, true], 'the end itself still counts');
  assert.equal(await activity.isBusy('a', process(0)), false);
  assert.equal(await activity.isBusy('b', process(0)), false, 'its owner did not ask');
});

test('CPU time counts between two looks', async (t) => {
  const { clock, activity } = await setUp(t);
  await activity.set('a', cpu);
  assert.equal(await activity.isBusy('a', process(10)), true, 'not known yet');
  clock.advanceTo(5000);
  assert.equal(await activity.isBusy('a', process(10.5)), false, '10 percent');
  clock.advanceTo(5050);
  assert.equal(await activity.isBusy('a', process(10.55)), false, 'too soon for another figure');
  clock.advanceTo(10_000);
  assert.equal(await activity.isBusy('a', process(12)), true, '30 percent');
  clock.advanceTo(15_000);
  assert.equal(await activity.isBusy('a', process(0.1)), true, 'a new process');
});

test('one timer looks at all that ask for it, and there is none without them', async (t) => {
  const { clock, activity } = await setUp(t);
  const looked: string[] = [];
  activity.start(async (microvmId) => {
    looked.push(microvmId);
    throw new Error('asleep');
  });
  await activity.set('sessions', exec);
  assert.equal(clock.timers.size, 0);
  await activity.set('a', cpu);
  await activity.set('b', cpu);
  for (let round = 1; round <= 2; round += 1) {
    assert.equal(clock.timers.size, 1);
    clock.advanceTo(round * samplingMs);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(looked.sort(), round === 1 ? ['a'] : ['a', 'a', 'b']);
  }
  await activity.forget('a');
  await activity.forget('b');
  clock.advanceTo(3 * samplingMs);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(clock.timers.size, 0);
  activity.close();
});
