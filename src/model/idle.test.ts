import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nextDue } from './idle.ts';
import { type IdlePolicy, type Microvm, microvmStates, terminationReasons } from './microvm.ts';

const startedAt = 1_000_000;

function vm(members: Partial<Microvm>): Microvm {
  return {
    microvmId: 'microvm-1',
    endpointId: 'endpoint-1',
    state: 'RUNNING',
    stateReason: null,
    imageArn: 'arn',
    imageVersion: '1.0',
    executionRoleArn: null,
    idlePolicy: null,
    logging: null,
    maximumDurationInSeconds: 100,
    ingressNetworkConnectors: [],
    egressNetworkConnectors: [],
    memoryMib: 256,
    startedAt,
    suspendedAt: null,
    terminatedAt: null,
    ...members,
  };
}

const policy: IdlePolicy = {
  maxIdleDurationSeconds: 10,
  suspendedDurationSeconds: 20,
  autoResumeEnabled: true,
};
const expire = { type: 'terminate', reason: terminationReasons.lifetime };

test('without a policy only the lifetime counts, asleep or not', () => {
  const due = { at: startedAt + 100_000, action: expire };
  assert.deepEqual(nextDue(vm({}), startedAt + 50_000), due);
  assert.deepEqual(nextDue(vm({ state: 'SUSPENDED', suspendedAt: startedAt + 1 }), startedAt), due);
});

test('an idle VM is suspended, counted from its last activity', () => {
  assert.deepEqual(nextDue(vm({ idlePolicy: policy }), startedAt + 7_000), {
    at: startedAt + 17_000,
    action: { type: 'suspend' },
  });
});

test('a lease puts off being idle, not the lifetime and not the end of a sleep', () => {
  const running = vm({ idlePolicy: policy });
  const due = (leaseEndsAt: number) => nextDue(running, startedAt + 7_000, leaseEndsAt);
  assert.deepEqual(due(startedAt + 60_000), { at: startedAt + 60_000, action: { type: 'suspend' } });
  assert.deepEqual(due(startedAt + 8_000), { at: startedAt + 17_000, action: { type: 'suspend' } });
  assert.deepEqual(due(startedAt + 900_000), { at: startedAt + 100_000, action: expire });
  const asleep = vm({ state: 'SUSPENDED', suspendedAt: startedAt + 3_000, idlePolicy: policy });
  assert.equal(nextDue(asleep, startedAt, startedAt + 60_000)?.at, startedAt + 23_000);
});

test('a suspended duration of zero terminates instead of suspending', () => {
  const due = nextDue(vm({ idlePolicy: { ...policy, suspendedDurationSeconds: 0 } }), startedAt);
  assert.deepEqual(due, { at: startedAt + 10_000, action: expire });
});

test('a suspended VM expires after its suspended duration', () => {
  const due = nextDue(
    vm({ state: 'SUSPENDED', suspendedAt: startedAt + 3_000, idlePolicy: policy }),
    startedAt,
  );
  assert.deepEqual(due, { at: startedAt + 23_000, action: expire });
});

test('nothing is ever due after the end of the lifetime, nor for a VM in transition', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...microvmStates),
      fc.option(
        fc.record({
          maxIdleDurationSeconds: fc.nat(1000),
          suspendedDurationSeconds: fc.nat(1000),
          autoResumeEnabled: fc.boolean(),
        }),
      ),
      fc.integer({ min: 1, max: 500 }),
      fc.nat(500_000),
      (state, idlePolicy, maximumDurationInSeconds, activity) => {
        const suspendedAt = state === 'SUSPENDED' ? startedAt + activity : null;
        const due = nextDue(
          vm({ state, idlePolicy, maximumDurationInSeconds, suspendedAt }),
          startedAt + activity,
        );
        if (state !== 'RUNNING' && state !== 'SUSPENDED') return due === undefined;
        return due !== undefined && due.at <= startedAt + maximumDurationInSeconds * 1000;
      },
    ),
  );
});
