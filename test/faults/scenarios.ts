import assert from 'node:assert/strict';
import type { Microvm } from '../../src/model/microvm.ts';
import type { Answer, World } from './world.ts';

/** A microVM that a scenario is about, and what its application last answered: none of that may be lost. */
export interface Subject {
  readonly vm: Microvm;
  readonly answer: Answer;
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

export function idOf(subject: Subject | undefined): string {
  assert.ok(subject);
  return subject.vm.microvmId;
}
