import assert from 'node:assert/strict';
import { imageArn, imageInput } from '../image-of-world.ts';
import { goesOn } from '../invariants.ts';
import { asleep, awake, type Subject } from '../scenarios.ts';
import type { World } from '../world.ts';

type Promised = (world: World) => Promise<void>;

/** A transition, and what a client may rely on from some point of it on. */
export interface PowerScenario {
  readonly name: string;
  prepare(world: World): Promise<Subject | undefined>;
  act(world: World, subject: Subject | undefined, promise: (promised: Promised) => void): Promise<void>;
}

function the(subject: Subject | undefined): Subject {
  assert.ok(subject);
  return subject;
}

function idOf(subject: Subject | undefined): string {
  return the(subject).vm.microvmId;
}

/** It sleeps, and goes on where it was. */
function sleeps(subject: Subject | undefined): Promised {
  return async (world) => goesOn(world, the(subject));
}

const nothing = async (): Promise<undefined> => undefined;

async function build(world: World): Promise<void> {
  await world.call(({ images }) => images.update(imageArn, imageInput));
  await world.imageSettles('UPDATING');
}

async function newestVersion(world: World): Promise<string> {
  const page = { limit: 1, after: undefined };
  const { items } = await world.call(({ images }) => images.listVersions(imageArn, page));
  assert.ok(items[0]);
  return items[0].imageVersion;
}

/** What cannot be told from what is there: that it is there. */
function versionStays(imageVersion: string): Promised {
  return async (world) => {
    const { state } = await world.call(({ images }) => images.getVersion(imageArn, imageVersion));
    assert.equal(state, 'SUCCESSFUL');
  };
}

export const powerScenarios: readonly PowerScenario[] = [
  {
    name: 'launch',
    prepare: nothing,
    act: async (world, _, promise) => {
      const vm = await world.run();
      promise(async (later) => void (await later.get(vm.microvmId)));
      await world.reaches(vm.microvmId, 'RUNNING');
      await world.request(vm.microvmId);
    },
  },
  {
    name: 'suspend',
    prepare: awake,
    act: async (world, subject, promise) => {
      await world.call(({ microvms }) => microvms.suspend(idOf(subject)));
      await world.reaches(idOf(subject), 'SUSPENDED');
      promise(sleeps(subject));
    },
  },
  {
    name: 'resume',
    prepare: asleep,
    act: async (world, subject) => {
      await world.call(({ microvms }) => microvms.resume(idOf(subject)));
      await world.request(idOf(subject));
    },
  },
  {
    name: 'suspend again',
    prepare: async (world) => {
      const { vm } = await asleep(world);
      return { vm, answer: await world.request(vm.microvmId) };
    },
    act: async (world, subject, promise) => {
      await world.call(({ microvms }) => microvms.suspend(idOf(subject)));
      await world.reaches(idOf(subject), 'SUSPENDED');
      promise(sleeps(subject));
    },
  },
  {
    name: 'fork',
    prepare: awake,
    act: async (world, subject, promise) => {
      const children = await world.call(({ microvms }) => microvms.fork(idOf(subject), { count: 2 }));
      for (const { microvmId } of children) {
        promise(async (later) => void (await later.get(microvmId)));
        await world.reaches(microvmId, 'RUNNING');
      }
    },
  },
  {
    name: 'checkpoint',
    prepare: asleep,
    act: async (world, subject, promise) => {
      await world.call(({ microvms }) => microvms.checkpoints.create(idOf(subject), 'kept'));
      promise(async (later) => {
        await later.call(({ microvms }) => microvms.checkpoints.rollBack(idOf(subject), 'kept'));
        await goesOn(later, the(subject));
      });
    },
  },
  {
    name: 'return to a checkpoint',
    prepare: async (world) => {
      const subject = await asleep(world);
      await world.call(({ microvms }) => microvms.checkpoints.create(idOf(subject), 'kept'));
      await world.request(idOf(subject));
      await world.call(({ microvms }) => microvms.suspend(idOf(subject)));
      await world.reaches(idOf(subject), 'SUSPENDED');
      return subject;
    },
    act: async (world, subject, promise) => {
      await world.call(({ microvms }) => microvms.checkpoints.rollBack(idOf(subject), 'kept'));
      promise(async (later) => {
        const { memory } = await later.request(idOf(subject));
        // goesOn has asked once already.
        assert.equal(memory, the(subject).answer.memory + 2);
      });
    },
  },
  {
    name: 'terminate',
    prepare: asleep,
    act: async (world, subject, promise) => {
      await world.call(({ microvms }) => microvms.terminate(idOf(subject)));
      promise(async (later) => void (await later.reaches(idOf(subject), 'TERMINATED')));
      await world.reaches(idOf(subject), 'TERMINATED');
    },
  },
  {
    name: 'build a version',
    prepare: nothing,
    act: async (world, _, promise) => {
      await build(world);
      promise(versionStays(await newestVersion(world)));
    },
  },
  {
    name: 'make a version of a microVM',
    prepare: asleep,
    act: async (world, subject, promise) => {
      const { imageVersion } = await world.call(({ microvms }) => microvms.checkpoints.commit(idOf(subject)));
      promise(versionStays(imageVersion));
    },
  },
  {
    name: 'delete a version',
    prepare: async (world) => {
      await build(world);
      return undefined;
    },
    act: async (world) => {
      const version = await newestVersion(world);
      await world.call(({ images }) => images.deleteVersion(imageArn, version));
      await world.imageSettles('UPDATING');
    },
  },
];
