import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Microvm, MicrovmState } from '../model/microvm.ts';
import { newMicrovm } from './new-microvm.ts';
import { recoverMicrovms } from './recover.ts';
import { Roster } from './roster.ts';

const settings = {
  imageArn: 'arn:aws:lambda:us-east-1:000000000000:microvm-image:web',
  imageVersion: '1.0',
  executionRoleArn: null,
  idlePolicy: null,
  logging: null,
  maximumDurationInSeconds: 3600,
  ingressNetworkConnectors: [],
  egressNetworkConnectors: [],
  memoryMib: 128,
};

function found(state: MicrovmState): Microvm {
  return { ...newMicrovm(settings, 0), state };
}

/** What is done with VMs found after a restart, in the order of happening. */
async function recover(vms: readonly Microvm[], isAtRest: (directory: string) => Promise<boolean>) {
  const events: string[] = [];
  const note =
    (what: string) =>
    ({ microvmId }: Microvm): number =>
      events.push(`${what} ${microvmId}`);
  const roster = new Roster({
    make: (vm) => ({
      vm,
      recover: async () => void note('recovers')(vm),
      use: () => void note('uses')(vm),
    }),
    recovering: (_microvmId, recovery) => void recovery,
  });
  await recoverMicrovms(vms, {
    vmm: { isAtRest },
    roster,
    directoryOf: (microvmId) => microvmId,
    resting: note('rests'),
    recovered: ({ vm }) => note('recovered')(vm),
  });
  return { roster, events };
}

test('a VM asleep with nothing to settle is left alone until somebody uses it, and recovered first then', async () => {
  const asleep = found('SUSPENDED');
  const id = asleep.microvmId;
  const { roster, events } = await recover([asleep], async () => true);
  assert.deepEqual(events, [`rests ${id}`]);
  assert.equal(roster.peek(id), undefined);
  assert.equal(roster.vmOf(id), asleep);
  roster.find(id)?.use();
  roster.control(asleep).use();
  assert.deepEqual(events.slice(1), [`recovers ${id}`, `uses ${id}`, `uses ${id}`]);
  assert.equal(roster.vmAt(asleep.endpointId), asleep);
});

test('every other VM is recovered before the server serves, whatever its directory looks like', async () => {
  const states = ['PENDING', 'RUNNING', 'SUSPENDING', 'TERMINATING'] as const;
  const vms = states.map(found);
  const { roster, events } = await recover(vms, async () => true);
  assert.deepEqual(
    events.filter((event) => event.startsWith('recovered')).sort(),
    vms.map(({ microvmId }) => `recovered ${microvmId}`).sort(),
  );
  assert.equal([...roster.controllers].length, states.length);
});

test('so is one asleep that something was under way with, or that cannot be looked at', async () => {
  const [unsettled, unreadable] = [found('SUSPENDED'), found('SUSPENDED')];
  const { events } = await recover([unsettled, unreadable], async (directory) => {
    if (directory === unreadable.microvmId) throw new Error('EIO');
    return false;
  });
  assert.equal(events.filter((event) => event.startsWith('recovered')).length, 2);
});

test('a VM that has ended is in the roster no more', async () => {
  const asleep = found('SUSPENDED');
  const { roster } = await recover([asleep], async () => true);
  roster.control(asleep);
  roster.remove(asleep);
  assert.equal(roster.find(asleep.microvmId), undefined);
  assert.equal(roster.vmOf(asleep.microvmId), undefined);
});
