import assert from 'node:assert/strict';
import { awake, idOf, type Subject } from '../scenarios.ts';
import type { World } from '../world.ts';
import { everyStep } from './every-step.ts';

/** MicroVMs of which the checkpoint was acknowledged. */
const acknowledged = new Set<string>();

/** A checkpoint is there and can be returned to, or there is none, which nobody was told otherwise. */
async function isWholeOrAbsent(world: World, { vm: { microvmId }, answer }: Subject): Promise<void> {
  if ((await world.get(microvmId)).state === 'TERMINATED') return;
  const kept = await world.call(({ microvms }) => microvms.checkpoints.list(microvmId));
  if (kept.length === 0) return assert.ok(!acknowledged.has(microvmId), 'an acknowledged checkpoint is gone');
  assert.deepEqual(
    kept.map(({ name }) => name),
    ['moment'],
  );
  await world.request(microvmId);
  await world.call(({ microvms }) => microvms.checkpoints.rollBack(microvmId, 'moment'));
  assert.equal((await world.request(microvmId)).memory, answer.memory + 1, 'what it was at the checkpoint');
}

everyStep({
  name: 'checkpoint',
  prepare: awake,
  act: async (world, subject) => {
    const microvmId = idOf(subject);
    await world.call(({ microvms }) => microvms.checkpoints.create(microvmId, 'moment'));
    acknowledged.add(microvmId);
  },
  verify: isWholeOrAbsent,
});
