import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { pino } from 'pino';
import type { VmmExit, VmmInstance, VmmUsage } from '../vmm/vmm.ts';
import { HostPressure, type SpareMemory } from './host-pressure.ts';
import { ManualClock } from './manual-clock-for-test.ts';
import { WakeCache } from './wake-cache.ts';

/** A paused process that takes so much memory; `ended` once somebody has ended it. */
function processOf(proportionalBytes: number) {
  const exited = Promise.withResolvers<VmmExit>();
  const state = { ended: false, exit: () => exited.resolve({ reason: 'gone' }) };
  const instance = {
    exited: exited.promise,
    usage: async () => ({ proportionalBytes }) as VmmUsage,
    async kill() {
      state.ended = true;
      exited.resolve({ reason: 'killed' });
    },
  } as VmmInstance;
  return { instance, state };
}

function room(limitBytes: number) {
  const clock = new ManualClock();
  const memory = { totalBytes: 1000, availableBytes: 1000 };
  const logger = pino({ level: 'silent' });
  const pressure = new HostPressure({ clock, logger, hostMemory: async () => ({ ...memory }) });
  const pass = async (): Promise<void> => {
    clock.advanceTo(clock.now() + 5_000);
    for (let count = 0; count < 10; count += 1) await turn();
  };
  return { clock, memory, pressure, pass, cache: new WakeCache({ limitBytes, pressure }) };
}

test('the VM asleep for longest gives way when there is no more room, one too large is never kept', async () => {
  const { cache } = room(250);
  const [first, second, third, huge] = [processOf(100), processOf(100), processOf(100), processOf(251)];
  await cache.keepOrEnd('first', first.instance);
  await cache.keepOrEnd('second', second.instance);
  await cache.keepOrEnd('third', third.instance);
  await cache.keepOrEnd('huge', huge.instance);
  assert.deepEqual(
    [first, second, third, huge].map(({ state }) => state.ended),
    [true, false, false, true],
  );
  assert.deepEqual([cache.size, cache.bytes], [2, 200]);
  assert.equal(cache.takeToWake('first'), undefined);
  assert.equal(cache.takeToWake('second'), second.instance);
  assert.deepEqual([cache.size, cache.bytes, cache.hits, cache.misses], [1, 100, 1, 1]);
});

test('a process that ends by itself is forgotten', async () => {
  const { cache } = room(250);
  const kept = processOf(100);
  await cache.keepOrEnd('vm', kept.instance);
  kept.state.exit();
  await turn();
  assert.deepEqual([cache.size, cache.bytes], [0, 0]);
  assert.equal(cache.take('vm'), undefined);
});

test('as much gives way as the host lacks, and with nothing kept nobody looks at it', async () => {
  const { cache, memory, clock, pass } = room(1000);
  assert.equal(clock.timers.size, 0);
  const kept = [processOf(40), processOf(40), processOf(40)];
  for (const [index, { instance }] of kept.entries()) await cache.keepOrEnd(`vm-${index}`, instance);
  await pass();
  assert.equal(cache.size, 3);
  memory.availableBytes = 50;
  await pass();
  assert.deepEqual(
    kept.map(({ state }) => state.ended),
    [true, true, false],
    'a tenth of the host is to be free, and 50 are missing',
  );
  memory.availableBytes = 0;
  await pass();
  assert.equal(cache.size, 0);
  await pass();
  assert.equal(clock.timers.size, 0);
});

test('who was added first gives way first', async () => {
  const { pressure, memory, pass, cache } = room(1000);
  const asked: number[] = [];
  const late: SpareMemory = {
    bytes: 10,
    async release(bytes) {
      asked.push(bytes);
    },
  };
  pressure.add(late);
  const kept = processOf(30);
  await cache.keepOrEnd('vm', kept.instance);
  memory.availableBytes = 80;
  await pass();
  assert.deepEqual([kept.state.ended, asked], [true, []]);
  memory.availableBytes = 60;
  await pass();
  assert.deepEqual(asked, [40]);
});
