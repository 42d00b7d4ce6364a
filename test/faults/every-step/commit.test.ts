import assert from 'node:assert/strict';
import { until } from '../../support/until.ts';
import { imageArn } from '../image-of-world.ts';
import { liveMicrovms } from '../invariants.ts';
import { awake, idOf, type Subject } from '../scenarios.ts';
import type { World } from '../world.ts';
import { everyStep, holds } from './every-step.ts';

const everything = { limit: 50, after: undefined };

/** Versions that were acknowledged, by the microVM they were made of. */
const acknowledged = new Map<string, string>();

/** What there is beside the first version continues from where the microVM was, and goes again. */
async function versionsContinue(world: World, { vm: { microvmId }, answer }: Subject): Promise<void> {
  const { items } = await world.call(({ images }) => images.listVersions(imageArn, everything));
  const made = items.filter(({ imageVersion }) => imageVersion !== '1.0');
  const expected = acknowledged.get(microvmId);
  acknowledged.delete(microvmId);
  if (expected !== undefined)
    assert.deepEqual(
      made.map(({ imageVersion }) => imageVersion),
      [expected],
    );
  await endOthers(world, microvmId);
  for (const { imageVersion } of made) {
    const child = await world.run({ imageVersion });
    await world.reaches(child.microvmId, 'RUNNING');
    const first = await world.request(child.microvmId);
    assert.deepEqual([first.memory, first.hostname], [answer.memory + 1, child.microvmId]);
    await world.call(({ microvms }) => microvms.terminate(child.microvmId));
    await world.reaches(child.microvmId, 'TERMINATED');
    await world.call(({ images }) => images.deleteVersion(imageArn, imageVersion));
  }
  await gone(world);
}

/** A version that microVMs run of cannot be deleted. */
async function endOthers(world: World, microvmId: string): Promise<void> {
  for (const other of await liveMicrovms(world)) {
    if (other.microvmId === microvmId) continue;
    await world.call(({ microvms }) => microvms.terminate(other.microvmId));
    await world.reaches(other.microvmId, 'TERMINATED');
  }
}

/** A deletion goes on in the background. */
async function gone(world: World): Promise<void> {
  await until('the version is deleted', async () => {
    const { items } = await world.call(({ images }) => images.listVersions(imageArn, everything));
    return items.length === 1;
  });
}

everyStep({
  name: 'commit and a launch from it',
  images: true,
  stride: 6,
  prepare: awake,
  act: async (world, subject) => {
    const microvmId = idOf(subject);
    const { imageVersion } = await world.call(({ microvms }) => microvms.checkpoints.commit(microvmId));
    acknowledged.set(microvmId, imageVersion);
    const child = await world.run({ imageVersion });
    await world.reaches(child.microvmId, 'RUNNING');
    const { memory } = await world.request(child.microvmId);
    const counted = (subject?.answer.memory ?? 0) + 1;
    holds(memory === counted, `a launch counts ${memory} after the ${counted - 1} that was committed`);
  },
  verify: versionsContinue,
});
