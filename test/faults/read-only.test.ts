/** A disk that takes nothing any more while the server runs, and then does again: no microVM notices. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { imageArn, imageInput } from './image-of-world.ts';
import { goesOn, holdsTogether, livesAndEnds } from './invariants.ts';
import { asleep, awake, type Subject } from './scenarios.ts';
import type { FailureCode } from './server-process.ts';
import { World } from './world.ts';

const page = { limit: 10, after: undefined };

describe('a disk that takes nothing for a while', () => {
  let world: World;
  before(async () => {
    world = await World.create();
  });
  after(() => world.destroy());

  for (const code of ['EROFS', 'EIO', 'ENOSPC'] satisfies FailureCode[]) {
    it(`costs nothing that was acknowledged: ${code}`, async () => {
      const running = await awake(world);
      const sleeping = await asleep(world);
      const versions = await world.call(({ images }) => images.listVersions(imageArn, page));
      const { process } = world.server;
      process.plan({ type: 'refuse', code });

      for (const [name, call] of Object.entries(changes(world, running, sleeping))) {
        await assert.rejects(call(), (error) => causedBy(error, code), name);
      }
      assert.equal((await world.get(running.vm.microvmId)).state, 'RUNNING');
      await goesOn(world, running);
      assert.equal((await world.get(sleeping.vm.microvmId)).state, 'SUSPENDED');
      await assert.rejects(world.request(sleeping.vm.microvmId));
      assert.equal((await world.get(sleeping.vm.microvmId)).state, 'SUSPENDED');
      assert.deepEqual(await world.call(({ images }) => images.listVersions(imageArn, page)), versions);

      process.plan({ type: 'none' });
      for (const subject of [running, sleeping]) await goesOn(world, subject);
      await holdsTogether(world);
      await world.crashAndStart();
      for (const subject of [running, sleeping]) await livesAndEnds(world, subject);
      await holdsTogether(world);
    });
  }
});

/** Calls that would have to store something. */
function changes(
  world: World,
  running: Subject,
  sleeping: Subject,
): Readonly<Record<string, () => Promise<unknown>>> {
  const [awakeId, asleepId] = [running.vm.microvmId, sleeping.vm.microvmId];
  return {
    run: () => world.run(),
    suspend: () => world.call(({ microvms }) => microvms.suspend(awakeId)),
    fork: () => world.call(({ microvms }) => microvms.fork(awakeId, { count: 1 })),
    checkpoint: () => world.call(({ microvms }) => microvms.checkpoints.create(asleepId)),
    terminate: () => world.call(({ microvms }) => microvms.terminate(awakeId)),
    update: () => world.call(({ images }) => images.update(imageArn, imageInput)),
  };
}

/** SQLite says it in its own way. */
function causedBy(error: unknown, code: FailureCode): boolean {
  if (!(error instanceof Error)) return false;
  const found = 'code' in error && (error.code === code || error.code === 'ERR_SQLITE_ERROR');
  return found || causedBy(error.cause, code);
}
