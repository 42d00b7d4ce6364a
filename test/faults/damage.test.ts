/** Damaged files under the engine on the fake machine: found before a guest runs on them, and nobody else is harmed. */
import assert from 'node:assert/strict';
import { cp, rename, rm, truncate } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { ImageVersion } from '../../src/model/image.ts';
import { flipByte } from '../contract/on-the-host.ts';
import { until } from '../support/until.ts';
import { imageArn } from './image-of-world.ts';
import { goesOn, holdsTogether, livesAndEnds } from './invariants.ts';
import { asleep, awake, type Subject } from './scenarios.ts';
import { World } from './world.ts';

const damages: Readonly<Record<string, (file: string) => Promise<void>>> = {
  altered: flipByte,
  'cut short': (file) => truncate(file, 1),
  deleted: (file) => rm(file),
};
/** Files of a snapshot, and whether a VM that sleeps stands on them. */
const files = [
  ['memory', true],
  ['root.ext4', true],
  ['disk.qcow2', true],
  ['manifest.json', true],
  ['overlay.qcow2', false],
  ['device-state', false],
] as const;

/** Does something to a file while `work` goes on, and puts it back as it was. */
async function whileDamaged(
  file: string,
  damage: (file: string) => Promise<void>,
  work: () => Promise<void>,
): Promise<void> {
  const kept = `${file}.kept`;
  await cp(file, kept);
  await damage(file);
  await work();
  await rename(kept, file);
}

async function currentVersion(world: World): Promise<ImageVersion> {
  return await world.call(({ images }) => images.getVersion(imageArn, '1.0'));
}

/** For what happens in the background, where nobody is told; the world's clock goes on meanwhile. */
async function becomes(world: World, what: string, holds: () => Promise<boolean>): Promise<void> {
  await world.call(() => until(what, holds));
}

async function versionBecomes(world: World, condition: string | null): Promise<void> {
  await world.call(async ({ images }) => images.watchSnapshots());
  await becomes(world, `${condition}`, async () => (await currentVersion(world)).condition === condition);
}

function snapshotFile(world: World, name: string): string {
  return path.join(world.directory, 'images/versions/web/1.0/snapshot', name);
}

describe('damaged files', { timeout: 300_000 }, () => {
  let world: World;
  let subject: Subject;

  before(async () => {
    world = await World.create();
    subject = await asleep(world);
  });
  after(() => world.destroy());

  async function doesNotWake(because: RegExp): Promise<void> {
    const { microvmId } = subject.vm;
    await assert.rejects(world.request(microvmId), { code: 'SNAPSHOT_DAMAGED' });
    await assert.rejects(
      world.call(({ microvms }) => microvms.resume(microvmId)),
      { code: 'ConflictException', message: because },
    );
    assert.equal((await world.get(microvmId)).state, 'SUSPENDED');
  }

  it('of a sleeping VM keep it asleep, over restarts too, until they are as they were', async () => {
    const other = await asleep(world);
    const directory = path.join(world.directory, 'microvms', subject.vm.microvmId);
    for (const name of ['memory', 'device-state', 'manifest.json', '../disk.qcow2']) {
      for (const [how, damage] of Object.entries(damages)) {
        // Without a description it is as after a wake that was cut short: nothing is left to continue from.
        if (name === 'manifest.json' && how === 'deleted') continue;
        await whileDamaged(path.join(directory, 'difference', name), damage, async () => {
          await doesNotWake(
            /what it stored when it fell asleep is damaged\. It stays suspended and its files/,
          );
          await world.crashAndStart();
          await doesNotWake(/damaged/);
        });
      }
    }
    assert.equal((await currentVersion(world)).condition, null);
    await livesAndEnds(world, other);
    await goesOn(world, subject);
    await world.call(({ microvms }) => microvms.suspend(subject.vm.microvmId));
    await world.reaches(subject.vm.microvmId, 'SUSPENDED');
    await holdsTogether(world);
  });

  it('of a checkpoint cost the microVM nothing, awake and asleep, and none is made of damaged ones', async () => {
    const { vm, answer } = await awake(world);
    const { microvmId } = vm;
    const directory = path.join(world.directory, 'microvms', microvmId);
    const rollBack = () => world.call(({ microvms }) => microvms.checkpoints.rollBack(microvmId, 'moment'));
    const suspend = async (): Promise<void> => {
      await world.call(({ microvms }) => microvms.suspend(microvmId));
      await world.reaches(microvmId, 'SUSPENDED');
    };
    const { checkpointId } = await world.call(({ microvms }) =>
      microvms.checkpoints.create(microvmId, 'moment'),
    );
    const refused = { code: 'ConflictException', message: /checkpoint moment .* is damaged.* is as it was/ };
    for (const name of [
      'difference/memory',
      'difference/device-state',
      'difference/manifest.json',
      'disk.qcow2',
    ]) {
      for (const damage of Object.values(damages)) {
        await whileDamaged(path.join(directory, 'checkpoints', checkpointId, name), damage, () =>
          assert.rejects(rollBack, refused),
        );
      }
    }
    const memory = path.join(directory, 'checkpoints', checkpointId, 'difference/memory');
    const { resumes } = await world.request(microvmId);
    assert.equal(resumes, answer.resumes, 'it heard nothing of it');
    await suspend();
    await whileDamaged(memory, flipByte, () => assert.rejects(rollBack, refused));
    assert.equal((await world.request(microvmId)).memory, answer.memory + 2);

    await suspend();
    await whileDamaged(path.join(directory, 'difference/memory'), flipByte, async () => {
      const nothing = { code: 'ConflictException', message: /is damaged\. Nothing was made of it/ };
      const { checkpoints } = world.server.microvms;
      await assert.rejects(
        world.call(() => checkpoints.create(microvmId, 'bad')),
        nothing,
      );
      await assert.rejects(
        world.call(() => checkpoints.commit(microvmId)),
        nothing,
      );
      assert.equal((await world.call(() => checkpoints.list(microvmId))).length, 1);
    });
    await holdsTogether(world);
    await rollBack();
    assert.equal((await world.request(microvmId)).memory, answer.memory + 1, 'whole, it is returned to');
    await world.call(({ microvms }) => microvms.terminate(microvmId));
    await world.reaches(microvmId, 'TERMINATED');
  });

  it('of a version end its launches, wake nobody, and cost no VM its state', async () => {
    for (const [name, isLasting] of files) {
      for (const [how, damage] of Object.entries(damages)) {
        // How else a file can be damaged the contract of VMMs tries for each of them.
        if (how !== 'altered' && name !== 'memory') continue;
        await whileDamaged(snapshotFile(world, name), damage, async () => {
          const { microvmId } = await world.run();
          const ended = async () => (await world.get(microvmId)).state === 'TERMINATED';
          await becomes(world, 'the launch ends', ended);
          assert.match(
            (await world.get(microvmId)).stateReason ?? '',
            /snapshot .* is damaged/,
            `${name} ${how}`,
          );
          const refusal =
            /No active version found .* and version 1\.0: The snapshot of this version is damaged \(/;
          await assert.rejects(world.run(), { code: 'ResourceNotFoundException', message: refusal });
          await world.crashAndStart();
          await assert.rejects(world.run(), { message: refusal }, 'also by the next server');
          if (isLasting) await doesNotWake(/the snapshot of its image version is damaged/);
          else await goesOn(world, subject);
        });
        await world.crashAndStart();
        await versionBecomes(world, null);
        await goesOn(world, subject);
        await world.call(({ microvms }) => microvms.suspend(subject.vm.microvmId));
        await world.reaches(subject.vm.microvmId, 'SUSPENDED');
      }
    }
    await livesAndEnds(world, subject);
    await holdsTogether(world);
  });
});

it('VMs kept ready of a version are given up when it is found damaged', async (t) => {
  const world = await World.create({ warmPool: { kind: 'fixed', count: 1 } });
  t.after(() => world.destroy());
  const running = await awake(world);
  await becomes(world, 'a spare VM', async () => (await world.machines()).length === 2);
  await whileDamaged(snapshotFile(world, 'memory'), flipByte, async () => {
    await versionBecomes(world, 'DAMAGED');
    await becomes(world, 'no spare VM', async () => (await world.machines()).length === 1);
    await assert.rejects(world.run(), /is damaged/);
    await goesOn(world, running);
  });
});
