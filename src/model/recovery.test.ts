import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type MicrovmState, microvmStates } from './microvm.ts';
import { type RecoveryStep, recoveryStep } from './recovery.ts';

/** Steps in the order: nothing left, alive, asleep, both. */
type Steps = readonly [RecoveryStep, RecoveryStep, RecoveryStep, RecoveryStep];

const launched: Readonly<Record<MicrovmState, Steps>> = {
  PENDING: ['relaunch', 'relaunch', 'relaunch', 'relaunch'],
  RUNNING: ['lose', 'go-on', 'finish-suspend', 'finish-suspend'],
  SUSPENDING: ['lose', 'go-on', 'finish-suspend', 'finish-suspend'],
  SUSPENDED: ['lose', 'go-on', 'leave', 'leave'],
  TERMINATING: ['finish-termination', 'go-on', 'finish-termination', 'finish-termination'],
  TERMINATED: ['leave', 'leave', 'leave', 'leave'],
};
/** A fork's memory is nowhere else: without its difference only its process holds it. */
const forked: Readonly<Record<MicrovmState, Steps>> = {
  ...launched,
  PENDING: ['lose', 'go-on', 'relaunch', 'relaunch'],
};

for (const [kind, expected] of Object.entries({ launched, forked })) {
  for (const state of microvmStates) {
    for (const [index, step] of expected[state].entries()) {
      const found = { alive: index % 2 === 1, asleep: index >= 2, forked: kind === 'forked' };
      test(`a ${kind} ${state} VM, ${found.alive ? '' : 'not '}alive, ${found.asleep ? '' : 'not '}asleep: ${step}`, () =>
        assert.equal(recoveryStep(state, found), step));
    }
  }
}

test('a VM that has something to continue from is never given up', () => {
  for (const state of microvmStates) {
    if (state === 'TERMINATING' || state === 'TERMINATED') continue;
    for (const [alive, asleep] of [
      [true, false],
      [false, true],
      [true, true],
    ] as const) {
      assert.notEqual(recoveryStep(state, { alive, asleep, forked: true }), 'lose');
    }
  }
});
