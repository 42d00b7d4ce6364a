import assert from 'node:assert/strict';
import type { Microvm } from '../../src/model/microvm.ts';
import { type Answer, imageArn, imageInput, type World } from './world.ts';

/** A microVM that a scenario is about, and what its application last answered: none of that may be lost. */
export interface Subject {
  readonly vm: Microvm;
  readonly answer: Answer;
}

/** A transition as a client drives it. */
export interface Scenario {
  readonly name: string;
  /** Brings a VM to where the transition begins; undefined where that needs none. */
  prepare(world: World): Promise<Subject | undefined>;
  /** Ends when the transition is complete, as far as a client can tell. */
  act(world: World, subject: Subject | undefined): Promise<void>;
  /** A VM may end by the transition itself. */
  readonly ends?: true;
  /** The transition is about images, of which a fault may leave one more or less. */
  readonly images?: true;
}

const idlePolicy = {
  maxIdleDurationSeconds: 3600,
  suspendedDurationSeconds: 86_400,
  autoResumeEnabled: true,
};

export async function awake(world: World): Promise<Subject> {
  const vm = await world.run({ idlePolicy });
  await world.reaches(vm.microvmId, 'RUNNING');
  return { vm, answer: await world.request(vm.microvmId) };
}

export async function asleep(world: World): Promise<Subject> {
  const subject = await awake(world);
  await world.call(({ microvms }) => microvms.suspend(subject.vm.microvmId));
  await world.reaches(subject.vm.microvmId, 'SUSPENDED');
  return subject;
}

function idOf(subject: Subject | undefined): string {
  assert.ok(subject);
  return subject.vm.microvmId;
}

async function terminate(world: World, subject: Subject | undefined): Promise<void> {
  await world.call(({ microvms }) => microvms.terminate(idOf(subject)));
  await world.reaches(idOf(subject), 'TERMINATED');
}

export const scenarios: readonly Scenario[] = [
  {
    name: 'launch',
    prepare: async () => undefined,
    act: async (world) => {
      await awake(world);
    },
  },
  {
    name: 'suspend',
    prepare: awake,
    act: async (world, subject) => {
      await world.call(({ microvms }) => microvms.suspend(idOf(subject)));
      await world.reaches(idOf(subject), 'SUSPENDED', 'RUNNING', 'TERMINATED');
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
    name: 'fork',
    prepare: awake,
    act: async (world, subject) => {
      const children = await world.call(({ microvms }) => microvms.fork(idOf(subject), { count: 2 }));
      for (const child of children) {
        const { state } = await world.reaches(child.microvmId, 'RUNNING', 'TERMINATED');
        if (state === 'TERMINATED') continue;
        const answer = await world.request(child.microvmId);
        assert.equal(answer.memory, (subject?.answer.memory ?? 0) + 1, 'a fork goes on from its parent');
        assert.equal(answer.hostname, child.microvmId);
      }
    },
  },
  { name: 'terminate a running VM', prepare: awake, act: terminate, ends: true },
  { name: 'terminate a sleeping VM', prepare: asleep, act: terminate, ends: true },
  {
    name: 'build a version',
    images: true,
    prepare: async () => undefined,
    act: async (world) => {
      await world.call(({ images }) => images.update(imageArn, imageInput));
      await world.imageSettles('UPDATING');
    },
  },
  {
    name: 'delete a version',
    images: true,
    prepare: async (world) => {
      await world.call(({ images }) => images.update(imageArn, imageInput));
      await world.imageSettles('UPDATING');
      return undefined;
    },
    act: async (world) => {
      const page = { limit: 50, after: undefined };
      const { items } = await world.call(({ images }) => images.listVersions(imageArn, page));
      const newest = items[0];
      assert.ok(newest && newest.imageVersion !== '1.0');
      await world.call(({ images }) => images.deleteVersion(imageArn, newest.imageVersion));
      await world.imageSettles('UPDATING');
    },
  },
];
