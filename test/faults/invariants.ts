import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import type { Microvm } from '../../src/model/microvm.ts';
import { imageArn } from './image-of-world.ts';
import type { Subject } from './scenarios.ts';
import type { World } from './world.ts';

const transient: readonly Microvm['state'][] = ['PENDING', 'SUSPENDING', 'TERMINATING'];
const settleMs = 60_000;
const everything = { limit: 10_000, after: undefined };

export async function liveMicrovms(world: World): Promise<readonly Microvm[]> {
  const { items } = await world.call(({ microvms }) => microvms.list(everything, {}));
  return items.filter(({ state }) => state !== 'TERMINATED');
}

/** Waits until nothing is under way any more: every VM is in a state that lasts. */
export async function settles(world: World): Promise<readonly Microvm[]> {
  for (const vm of await liveMicrovms(world)) {
    if (transient.includes(vm.state)) {
      await world.reaches(vm.microvmId, 'RUNNING', 'SUSPENDED', 'TERMINATED');
    }
  }
  return await liveMicrovms(world);
}

/**
 * What holds once everything has settled, whatever happened: states are true, every process and every directory
 * belongs to a VM, and no VM ended without a reason.
 */
export async function holdsTogether(world: World): Promise<void> {
  const deadline = performance.now() + settleMs;
  for (;;) {
    try {
      return await holdsNow(world);
    } catch (error) {
      // That a process is gone is noticed soon, not at once.
      if (!(error instanceof assert.AssertionError) || performance.now() > deadline) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function holdsNow(world: World): Promise<void> {
  const vms = await settles(world);
  const ids = new Set(vms.map(({ microvmId }) => microvmId));
  for (const vm of vms) assert.ok(!transient.includes(vm.state), `${vm.microvmId} stays ${vm.state}`);
  const { items } = await world.call(({ microvms }) => microvms.list(everything, {}));
  for (const vm of items) {
    if (vm.state === 'TERMINATED') assert.ok(vm.stateReason, 'a VM ended without a reason');
  }
  const files = await world.files();
  const owned = files.filter((name) => name.startsWith('microvms/')).map((name) => path.basename(name));
  const spare = await figure(world, 'warm_pool_microvms');
  assert.equal(owned.filter((name) => !ids.has(name)).length, spare, 'directories of no VM');
  assert.deepEqual(
    files.filter((name) => name.startsWith('images/builds/')),
    [],
    'remains of builds',
  );
  const running = vms.filter(({ state }) => state === 'RUNNING').length;
  const kept = await figure(world, 'wake_cache_microvms');
  assert.equal((await world.machines()).length, running + kept + spare, 'processes that belong to nobody');
  await versionsHoldTogether(world);
}

/** One of the server's own figures. */
export async function figure(world: World, name: string): Promise<number> {
  const text = await world.call(({ metrics }) => metrics.text());
  return Number(new RegExp(`^dormouse_${name} (\\d+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
}

/** Each version that can be run has its snapshot, and nothing else lies beside them. */
async function versionsHoldTogether(world: World): Promise<void> {
  const { items } = await world.call(({ images }) => images.listVersions(imageArn, everything));
  const whole = items.filter(({ state }) => state === 'SUCCESSFUL').map(({ imageVersion }) => imageVersion);
  const directory = path.join(world.directory, 'images/versions/web');
  assert.deepEqual((await readdir(directory)).sort(), whole.sort());
  for (const version of whole) assert.deepEqual(await readdir(path.join(directory, version)), ['snapshot']);
  assert.ok(whole.includes('1.0'));
}

/** The VM goes on where it was: nothing it had acknowledged is lost, and memory and disk belong together. */
export async function goesOn(world: World, { vm, answer }: Subject): Promise<void> {
  const next = await world.request(vm.microvmId);
  assert.ok(next.memory > answer.memory, `counts ${next.memory} after ${answer.memory}`);
  assert.equal(next.memory, next.disk, 'memory and disk are of different moments');
  assert.equal(next.instance, answer.instance);
  assert.equal(next.hostname, vm.microvmId);
}

/** It can be put to sleep, woken and ended: no VM may be left that neither resumes nor dies. */
export async function livesAndEnds(world: World, subject: Subject): Promise<void> {
  const { microvmId } = subject.vm;
  await goesOn(world, subject);
  await world.call(({ microvms }) => microvms.suspend(microvmId));
  await world.reaches(microvmId, 'SUSPENDED');
  await goesOn(world, subject);
  await world.call(({ microvms }) => microvms.terminate(microvmId));
  await world.reaches(microvmId, 'TERMINATED');
}
