import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { pino } from 'pino';
import type { GuestAgent } from '../../guest/guest-agent.ts';
import { parseWarmPoolPolicy } from '../../model/warm-pool.ts';
import type { VmmExit, VmmInstance } from '../../vmm/vmm.ts';
import { HostPressure } from '../host-pressure.ts';
import { ManualClock } from '../manual-clock-for-test.ts';
import type { Spare, VersionName } from './spare.ts';
import { WarmPool } from './warm-pool.ts';

const first: VersionName = { imageArn: 'arn:a', imageVersion: '1.0' };
const second: VersionName = { imageArn: 'arn:b', imageVersion: '1.0' };
const spareBytes = 100;

interface Room {
  readonly pool: WarmPool;
  readonly clock: ManualClock;
  readonly made: { readonly spare: Spare; readonly version: VersionName; end(): void }[];
  readonly discarded: string[];
  readonly memory: { totalBytes: number; availableBytes: number };
  /** Makes the next spare VMs wait until it resolves, or fail. */
  before: (signal: AbortSignal) => Promise<void>;
  settle(): Promise<void>;
}

function room(context: TestContext, policy: string): Room {
  const clock = new ManualClock();
  clock.time = 1_000_000;
  const memory = { totalBytes: 8 * spareBytes * 100, availableBytes: 8 * spareBytes * 100 };
  const logger = pino({ level: 'silent' });
  const pressure = new HostPressure({ clock, logger, hostMemory: async () => ({ ...memory }) });
  const made: Room['made'] = [];
  const discarded: string[] = [];
  const pool = new WarmPool({
    policy: parseWarmPoolPolicy(policy),
    async make(version, signal) {
      await self.before(signal);
      const exited = Promise.withResolvers<VmmExit>();
      const spare: Spare = {
        microvmId: `microvm-${made.length}`,
        instance: { exited: exited.promise } as VmmInstance,
        agent: { closed: new Promise<void>(() => undefined) } as GuestAgent,
        bytes: spareBytes,
      };
      made.push({ spare, version, end: () => exited.resolve({ reason: 'killed' }) });
      return spare;
    },
    async discard({ microvmId }) {
      discarded.push(microvmId);
    },
    pressure,
    clock,
    logger,
  });
  const self: Room = {
    pool,
    clock,
    made,
    discarded,
    memory,
    before: async () => undefined,
    async settle() {
      for (let count = 0; count < 20; count += 1) await turn();
    },
  };
  context.after(() => pressure.close());
  return self;
}

test('launches in a row are served from it, each by a VM of its own', async (t) => {
  const { pool, settle, discarded } = room(t, 'adaptive:3');
  assert.equal(pool.take(first), undefined);
  await settle();
  assert.equal(pool.size, 0, 'one launch alone keeps nothing ready');
  assert.equal(pool.take(first), undefined);
  assert.equal(pool.take(first), undefined);
  assert.equal(pool.take(first), undefined);
  await settle();
  assert.equal(pool.size, 3);
  const ids = [pool.take(first), pool.take(first), pool.take(first)];
  assert.equal(new Set(ids).size, 3);
  assert.ok(!ids.includes(undefined));
  assert.equal(pool.take(second), undefined, 'another version has none');
  for (const id of ids) assert.equal(pool.collect(id ?? '')?.microvmId, id);
  assert.equal(pool.collect(ids[0] ?? ''), undefined, 'nothing is given out twice');
  assert.deepEqual([pool.hits, pool.misses], [3, 5]);
  assert.deepEqual(discarded, []);
});

test('without launches it becomes empty, and then no timer runs', async (t) => {
  const { pool, clock, settle, discarded } = room(t, 'adaptive:4');
  for (let count = 0; count < 5; count += 1) pool.take(first);
  await settle();
  assert.equal(pool.size, 4);
  for (let minute = 0; minute < 10; minute += 1) {
    clock.advanceTo(clock.now() + 60_000);
    await settle();
  }
  assert.equal(pool.size, 0);
  assert.equal(discarded.length, 4);
  clock.advanceTo(clock.now() + 5_000);
  await settle();
  assert.equal(clock.timers.size, 0);
});

test('a fixed number is refilled, of each version launched from', async (t) => {
  const { pool, settle } = room(t, 'fixed:2');
  pool.expect(first);
  await settle();
  assert.equal(pool.size, 2);
  assert.ok(pool.take(first));
  pool.take(second);
  await settle();
  assert.equal(pool.size, 4);
});

test('a version withdrawn while one is made for it keeps nothing', async (t) => {
  const self = room(t, 'fixed:2');
  const { pool, settle, discarded, made } = self;
  pool.expect(first);
  pool.expect(second);
  await settle();
  await pool.retire('arn:b', '2.0');
  assert.equal(pool.size, 4, 'another version of it');
  self.before = (signal) =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  const taken = pool.take(first) ?? '';
  await settle();
  await pool.retire('arn:a');
  assert.equal(discarded.length, 1);
  assert.equal(pool.size, 2);
  pool.giveBack(taken);
  await settle();
  assert.deepEqual(discarded.length, 2, 'what comes back is not kept');
  assert.equal(made.length, 4);
});

test('a launch that did not come about leaves its VM to the next', async (t) => {
  const { pool, settle } = room(t, 'fixed:1');
  pool.expect(first);
  await settle();
  const id = pool.take(first) ?? '';
  pool.giveBack(id);
  assert.equal(pool.collect(id), undefined);
  assert.equal(pool.take(first), id);
});

test('what fails is not tried again before the next launch', async (t) => {
  const self = room(t, 'fixed:1');
  let tries = 0;
  self.before = async () => {
    tries += 1;
    throw new Error('no');
  };
  self.pool.expect(first);
  await self.settle();
  assert.equal(tries, 1);
  self.pool.take(first);
  await self.settle();
  assert.equal(tries, 2);
});

test('one that ends by itself is given to nobody', async (t) => {
  const { pool, settle, made, discarded } = room(t, 'fixed:1');
  pool.expect(first);
  await settle();
  made[0]?.end();
  await settle();
  assert.equal(pool.take(first), undefined);
  assert.deepEqual(discarded, ['microvm-0']);
});

test('the version launched from longest ago gives way where memory is bounded', async (t) => {
  const { pool, settle, memory } = room(t, 'fixed:2');
  memory.totalBytes = 8 * spareBytes * 3;
  pool.expect(first);
  await settle();
  pool.expect(second);
  await settle();
  assert.deepEqual([pool.size, pool.bytes], [2, 2 * spareBytes]);
  assert.ok(pool.take(second));
  assert.equal(pool.take(first), undefined);
});

test('it gives way when the host runs short, and asks for nothing while that lasts', async (t) => {
  const { pool, settle, memory, clock } = room(t, 'fixed:3');
  pool.expect(first);
  await settle();
  assert.equal(pool.size, 3);
  memory.availableBytes = memory.totalBytes / 10 - 1;
  clock.advanceTo(clock.now() + 5_000);
  await settle();
  assert.equal(pool.size, 0);
});

test('closed, it discards everything, reserved ones too', async (t) => {
  const { pool, settle, discarded } = room(t, 'fixed:3');
  pool.expect(first);
  await settle();
  pool.take(first);
  await pool.close();
  assert.equal(new Set(discarded).size, discarded.length);
  assert.ok(discarded.length >= 3);
  assert.equal(pool.take(first), undefined);
});
