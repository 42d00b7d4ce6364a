import assert from 'node:assert/strict';
import { awake, idOf, type Subject } from '../scenarios.ts';
import type { World } from '../world.ts';
import { everyStep } from './every-step.ts';

/** Requests between the checkpoint and the return to it. */
const requestsSince = 3;

/** MicroVMs that are to be looked at yet, and whether their return was acknowledged. */
const returns = new Map<string, 'asked' | 'acknowledged'>();

async function withCheckpoint(world: World): Promise<Subject> {
  const subject = await awake(world);
  const { microvmId } = subject.vm;
  await world.call(({ microvms }) => microvms.checkpoints.create(microvmId, 'moment'));
  for (let count = 0; count < requestsSince; count += 1) await world.request(microvmId);
  returns.set(microvmId, 'asked');
  return subject;
}

/** It is what it was or what it had become, and the former where that was acknowledged; nothing in between. */
async function isEither(world: World, { vm: { microvmId }, answer }: Subject): Promise<void> {
  const said = returns.get(microvmId);
  if (said === undefined) return;
  returns.delete(microvmId);
  if ((await world.get(microvmId)).state === 'TERMINATED') return;
  const { memory, disk } = await world.request(microvmId);
  const [was, became] = [answer.memory + 1, answer.memory + 1 + requestsSince];
  assert.ok(memory === was || (said === 'asked' && memory === became), `${said}, and counts ${memory}`);
  assert.equal(memory, disk, 'memory and disk are of different moments');
}

everyStep({
  name: 'return to a checkpoint',
  stride: 3,
  prepare: withCheckpoint,
  act: async (world, subject) => {
    const microvmId = idOf(subject);
    await world.call(({ microvms }) => microvms.checkpoints.rollBack(microvmId, 'moment'));
    returns.set(microvmId, 'acknowledged');
  },
  verify: isEither,
});
