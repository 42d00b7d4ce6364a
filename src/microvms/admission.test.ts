import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { pino } from 'pino';
import type { CapacityLimits, HostState } from '../model/capacity.ts';
import type { MicrovmState } from '../model/microvm.ts';
import { Metrics } from '../telemetry/metrics.ts';
import type { VmmInstance, VmmUsage } from '../vmm/vmm.ts';
import { Admission, CapacityError } from './admission.ts';
import { ManualClock } from './manual-clock-for-test.ts';

const mebibyte = 1024 ** 2;
/** What a VM of 128 MiB is expected to take before any was measured. */
const oneVm = 128 * mebibyte;

function vm(name: string, state: MicrovmState = 'RUNNING') {
  return { microvmId: name, imageArn: 'arn', imageVersion: '1.0', memoryMib: 128, state };
}

function room(vms: number, evict?: () => Promise<boolean>) {
  const clock = new ManualClock();
  const limits: CapacityLimits = {
    memoryBytes: vms * oneVm,
    memoryReserveBytes: 0,
    vcpus: 100,
    diskReserveBytes: 0,
  };
  const host: { -readonly [Name in keyof HostState]: HostState[Name] } = {
    availableMemoryBytes: 1000 * oneVm,
    freeDiskBytes: 1000 * oneVm,
    heldBytes: 0,
  };
  const reclaimed: number[] = [];
  const metrics = new Metrics();
  const admission = new Admission({
    look: async () => ({ limits, host: { ...host } }),
    async reclaim(bytes) {
      reclaimed.push(bytes);
      host.heldBytes = Math.max(0, host.heldBytes - bytes);
    },
    evict,
    clock,
    logger: pino({ level: 'silent' }),
    metrics,
  });
  return { admission, clock, host, reclaimed, metrics };
}

/** Lets everything happen that does not wait for the clock. */
async function settle(): Promise<void> {
  for (let i = 0; i < 30; i += 1) await turn();
}

function watched(work: Promise<void>): { outcome: string } {
  const seen = { outcome: 'waits' };
  work.then(
    () => {
      seen.outcome = 'admitted';
    },
    (error: unknown) => {
      seen.outcome = error instanceof CapacityError ? `refused: ${error.resource}` : 'failed';
    },
  );
  return seen;
}

test('VMs are let in while they fit, and the next one in when one sleeps', async () => {
  const { admission } = room(2);
  await admission.admit([vm('one')]);
  await admission.admit([vm('two')]);
  const third = watched(admission.admit([vm('three')]));
  const fourth = watched(admission.admit([vm('four')]));
  await settle();
  assert.deepEqual([third.outcome, fourth.outcome], ['waits', 'waits']);
  admission.follow(vm('one', 'SUSPENDED'));
  await settle();
  assert.deepEqual([third.outcome, fourth.outcome], ['admitted', 'waits']);
  admission.follow(vm('two', 'TERMINATED'));
  await settle();
  assert.equal(fourth.outcome, 'admitted');
  assert.equal(admission.ledger.memoryBytes, 2 * oneVm);
});

test('whoever waits too long is refused with the reason, and those behind go on', async () => {
  const { admission, clock, host, metrics } = room(2);
  await admission.admit([vm('first')]);
  const large = watched(admission.admit([vm('a'), vm('b')]));
  await settle();
  clock.time = 5_000;
  const small = watched(admission.admit([vm('d')]));
  await settle();
  assert.deepEqual([large.outcome, small.outcome], ['waits', 'waits'], 'in the order of asking');
  clock.advanceTo(10_000);
  await settle();
  assert.deepEqual([large.outcome, small.outcome], ['refused: memory', 'admitted']);
  assert.equal(admission.ledger.size, 2);
  admission.release('first');
  host.freeDiskBytes = oneVm;
  const noDisk = watched(admission.admit([vm('e')]));
  await settle();
  clock.advanceTo(20_000);
  await settle();
  assert.equal(noDisk.outcome, 'refused: disk');
  assert.match(await metrics.text(), /dormouse_capacity_refusals_total\{resource="disk"\} 1/);
});

test('what would not fit into an empty host either is refused at once and holds nobody up', async () => {
  const { admission } = room(2);
  await admission.admit([vm('first')]);
  const impossible = watched(admission.admit([vm('a'), vm('b'), vm('c')]));
  const small = watched(admission.admit([vm('d')]));
  await settle();
  assert.deepEqual([impossible.outcome, small.outcome], ['refused: memory', 'admitted']);
});

test('memory that came free on the host is noticed without anyone telling', async () => {
  const { admission, clock, host } = room(10);
  host.availableMemoryBytes = 0;
  const waiting = watched(admission.admit([vm('one')]));
  await settle();
  host.availableMemoryBytes = 100 * oneVm;
  clock.advanceTo(500);
  await settle();
  assert.equal(waiting.outcome, 'admitted');
});

test('what is held for speed gives way first, and no more of it than is missing', async () => {
  const { admission, host, reclaimed } = room(2);
  host.heldBytes = 1.5 * oneVm;
  await admission.admit([vm('one')]);
  assert.deepEqual(reclaimed, [0.5 * oneVm]);
  assert.equal(host.heldBytes, oneVm);
});

test('with eviction the longest idle is put to sleep, one at a time, and only when nothing else helps', async () => {
  let evictions = 0;
  const { admission, host } = room(1, async () => {
    evictions += 1;
    admission.follow(vm('one', 'SUSPENDED'));
    return true;
  });
  host.heldBytes = oneVm;
  await admission.admit([vm('one')]);
  assert.equal(evictions, 0);
  await admission.admit([vm('two')]);
  assert.equal(evictions, 1);
  assert.equal(admission.ledger.size, 1);
});

test('one who gives up leaves the queue and no reservation', async () => {
  const { admission } = room(1);
  await admission.admit([vm('one')]);
  const giveUp = new AbortController();
  const waiting = watched(admission.admit([vm('two')], giveUp.signal));
  const next = watched(admission.admit([vm('three')]));
  await settle();
  giveUp.abort(new Error('terminated'));
  await settle();
  assert.deepEqual([waiting.outcome, next.outcome], ['failed', 'waits']);
  admission.release('one');
  await settle();
  assert.equal(next.outcome, 'admitted');
  await assert.rejects(admission.admit([vm('four')], AbortSignal.abort(new Error('too late'))), /too late/);
});

test('VMs found running after a restart count, also beyond the limit', async () => {
  const { admission } = room(1);
  admission.follow(vm('one'));
  admission.follow(vm('two'));
  assert.equal(admission.ledger.size, 2);
  const waiting = watched(admission.admit([vm('three')]));
  await settle();
  assert.equal(waiting.outcome, 'waits');
  admission.close();
});

test('what VMs take is measured, and then expected of others of their version', async () => {
  const { admission } = room(2);
  const usage: VmmUsage = { residentBytes: oneVm, proportionalBytes: oneVm / 4, cpuSeconds: 1 };
  await admission.admit([vm('one')]);
  admission.follow(vm('one'));
  admission.watch(vm('one'), { usage: async () => usage } as unknown as VmmInstance);
  await admission.admit([vm('two')]);
  await settle();
  assert.equal(admission.ledger.memoryBytes, oneVm / 4 + oneVm, 'one measured, one expected');
  await admission.admit([vm('three')]);
  assert.equal(admission.ledger.memoryBytes, oneVm / 4 + oneVm + (oneVm / 4) * 1.25);
});
