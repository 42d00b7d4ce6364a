import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { pino } from 'pino';
import { BuildFailure } from '../images/build-failure.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { Admission } from './admission.ts';
import { createBuildRoom } from './build-room.ts';
import { ManualClock } from './manual-clock-for-test.ts';

const mebibyte = 1024 ** 2;
/** What a VM of 128 MiB is expected to take before any was measured. */
const oneVm = 128 * mebibyte;
const build = { buildId: 'one', memoryMib: 128 };

function host(t: TestContext, vms: number) {
  const clock = new ManualClock();
  const host = { availableMemoryBytes: 1000 * oneVm, freeDiskBytes: 1000 * oneVm, heldBytes: 0 };
  const limits = { memoryBytes: vms * oneVm, memoryReserveBytes: 0, vcpus: 2, diskReserveBytes: 0 };
  const metrics = new Metrics();
  const admission = new Admission({
    look: async () => ({ limits, host }),
    reclaim: async () => undefined,
    clock,
    logger: pino({ level: 'silent' }),
    metrics,
  });
  t.after(() => admission.close());
  const room = createBuildRoom(admission, clock, metrics);
  const told: string[] = [];
  const reserve = (wanted = build, signal = new AbortController().signal) =>
    room.reserve(wanted, { signal, onWaiting: (resource) => told.push(resource) });
  return { admission, clock, host, metrics, told, reserve };
}

function vm(microvmId: string) {
  return { microvmId, imageArn: 'arn', imageVersion: '1.0', memoryMib: 128 };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 30; i += 1) await turn();
}

test('a build takes room from microVMs, and gives it back', async (t) => {
  const { admission, reserve, told } = host(t, 1);
  const place = await reserve();
  place.settle();
  const launch = admission.admit([vm('a')]);
  await settle();
  assert.deepEqual([admission.ledger.memoryBytes, told], [oneVm, []]);
  place.release();
  await launch;
  assert.equal(admission.ledger.memoryBytes, oneVm);
});

test('it waits for room, says so once, and is let in when some came free', async (t) => {
  const { admission, clock, metrics, reserve, told } = host(t, 1);
  await admission.admit([vm('a')]);
  const waiting = reserve();
  await settle();
  clock.advanceTo(600_000);
  await settle();
  assert.deepEqual(told, ['memory']);
  assert.match(await metrics.text(), /dormouse_capacity_builds_waiting 1/);
  admission.release('a');
  clock.advanceTo(602_000);
  (await waiting).release();
  assert.match(await metrics.text(), /dormouse_capacity_builds_waiting 0/);
  assert.equal(admission.ledger.size, 0);
});

test('launches and wakes go first', async (t) => {
  const { admission, clock, reserve } = host(t, 2);
  await admission.admit([vm('a'), vm('b')]);
  const waiting = reserve();
  const launch = admission.admit([vm('c')]);
  await settle();
  admission.release('a');
  await launch;
  clock.advanceTo(2_000);
  await settle();
  assert.equal(admission.ledger.size, 2, 'the launch has the place, and the build waits on');
  admission.release('b');
  clock.advanceTo(4_000);
  await waiting;
});

test('what this host can never carry fails at once, with both figures', async (t) => {
  const { admission, reserve, told } = host(t, 1);
  await assert.rejects(reserve({ ...build, memoryMib: 512 }), (error: unknown) => {
    assert.ok(error instanceof BuildFailure);
    assert.equal(
      error.message,
      'INSUFFICIENT_CAPACITY: The MicroVM of this size needs 320 MiB of memory, and on this host all of them may have 128 MiB of memory.',
    );
    return true;
  });
  const cpus = host(t, 1000);
  await assert.rejects(
    cpus.reserve({ ...build, memoryMib: 8192 }),
    /needs 4 virtual CPUs, .* 2 virtual CPUs\./,
  );
  assert.deepEqual([told, admission.ledger.size], [[], 0]);
});

test('one that waited for half an hour fails with what was short', async (t) => {
  for (const [what, reason] of [
    ['availableMemoryBytes', /^INSUFFICIENT_CAPACITY: For 30 minutes .* memory/],
    ['freeDiskBytes', /^DISK_STORAGE_FULL: /],
  ] as const) {
    const { clock, host: state, reserve } = host(t, 10);
    state[what] = 0;
    const waiting = reserve();
    const refused = assert.rejects(waiting, (error: unknown) => {
      assert.match(String(error instanceof BuildFailure && error.message), reason);
      return true;
    });
    await settle();
    clock.advanceTo(30 * 60_000);
    await refused;
  }
});

test('a server that goes down leaves nothing reserved', async (t) => {
  const { admission, reserve } = host(t, 1);
  await admission.admit([vm('a')]);
  const closing = new AbortController();
  const waiting = reserve(build, closing.signal);
  await settle();
  closing.abort(new Error('the server is shutting down'));
  await assert.rejects(waiting, /shutting down/);
  admission.release('a');
  assert.equal(admission.ledger.size, 0);
});
