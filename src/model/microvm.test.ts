import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  applyEvent,
  endCauseOf,
  IllegalTransitionError,
  type Microvm,
  type MicrovmEvent,
  type MicrovmEventType,
  type MicrovmState,
  microvmStates,
  nextState,
  terminationReasons,
} from './microvm.ts';

const now = 1_000_000;

const events: Readonly<Record<MicrovmEventType, MicrovmEvent>> = {
  launched: { type: 'launched' },
  'suspend-started': { type: 'suspend-started' },
  'suspend-finished': { type: 'suspend-finished' },
  'suspend-abandoned': { type: 'suspend-abandoned' },
  resumed: { type: 'resumed' },
  'terminate-started': { type: 'terminate-started', reason: 'asked' },
  terminated: { type: 'terminated', reason: 'over' },
};

/** Spec section 4.1, written out in full: every state against every event. */
const expected: Readonly<Record<MicrovmState, Partial<Record<MicrovmEventType, MicrovmState>>>> = {
  PENDING: { launched: 'RUNNING', 'terminate-started': 'TERMINATING', terminated: 'TERMINATED' },
  RUNNING: { 'suspend-started': 'SUSPENDING', 'terminate-started': 'TERMINATING', terminated: 'TERMINATED' },
  SUSPENDING: {
    'suspend-finished': 'SUSPENDED',
    'suspend-abandoned': 'RUNNING',
    'terminate-started': 'TERMINATING',
    terminated: 'TERMINATED',
  },
  SUSPENDED: { resumed: 'RUNNING', 'terminate-started': 'TERMINATING', terminated: 'TERMINATED' },
  TERMINATING: { terminated: 'TERMINATED' },
  TERMINATED: {},
};

function vmIn(state: MicrovmState): Microvm {
  return {
    microvmId: 'microvm-1',
    endpointId: 'endpoint-1',
    state,
    stateReason: null,
    imageArn: 'arn:aws:lambda:us-east-1:000000000000:microvm-image:app',
    imageVersion: '1.0',
    executionRoleArn: null,
    idlePolicy: null,
    logging: null,
    maximumDurationInSeconds: 28_800,
    ingressNetworkConnectors: [],
    egressNetworkConnectors: [],
    memoryMib: 256,
    startedAt: now - 5_000,
    suspendedAt: state === 'SUSPENDED' ? now - 1_000 : null,
    terminatedAt: null,
  };
}

for (const state of microvmStates) {
  for (const event of Object.values(events)) {
    const target = expected[state][event.type];
    test(`${state} on ${event.type} ${target === undefined ? 'is refused' : `becomes ${target}`}`, () => {
      assert.equal(nextState(state, event.type), target);
      if (target === undefined) {
        assert.throws(() => applyEvent(vmIn(state), event, now), IllegalTransitionError);
      } else {
        assert.equal(applyEvent(vmIn(state), event, now).state, target);
      }
    });
  }
}

test('a suspend is stamped and a resume forgets the stamp', () => {
  const asleep = applyEvent(vmIn('SUSPENDING'), events['suspend-finished'], now);
  assert.equal(asleep.suspendedAt, now);
  assert.equal(applyEvent(asleep, events.resumed, now + 1).suspendedAt, null);
});

test('termination keeps the reason and the time', () => {
  const over = applyEvent(vmIn('TERMINATING'), events.terminated, now);
  assert.deepEqual([over.stateReason, over.terminatedAt], ['over', now]);
});

test('nothing but the state, its reason and its times ever changes', () => {
  for (const state of microvmStates) {
    for (const event of Object.values(events)) {
      if (expected[state][event.type] === undefined) continue;
      const { state: _a, stateReason: _b, suspendedAt: _c, terminatedAt: _d, ...kept } = vmIn(state);
      assert.deepEqual(
        { ...applyEvent(vmIn(state), event, now), ...kept },
        applyEvent(vmIn(state), event, now),
      );
    }
  }
});

test('every recorded reason of an end has its cause', () => {
  const { requested, lifetime, containerStopped, hookStatus, hookRefused, hookTimedOut, lost } =
    terminationReasons;
  const causes: readonly (readonly [string, string])[] = [
    [requested, 'requested'],
    [lifetime, 'lifetime'],
    [containerStopped(124), 'exited'],
    [hookStatus('Run', 400), 'hook_failed'],
    [hookRefused('Resume'), 'hook_failed'],
    [hookTimedOut('Suspend'), 'hook_failed'],
    [lost, 'lost'],
    [terminationReasons.launchFailed, 'launch_failed'],
    [terminationReasons.damaged, 'launch_failed'],
    [terminationReasons.outdated('another accelerator'), 'launch_failed'],
  ];
  for (const [reason, cause] of causes) assert.equal(endCauseOf(reason), cause, reason);
});
