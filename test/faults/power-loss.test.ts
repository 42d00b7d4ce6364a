/*
 * The power goes at every moment at which it makes a difference: before each sync that a transition makes, after each
 * commit to the store, and when the transition is over. Whatever the disk may hold then is made a directory, and a
 * server is started on it.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before as beforehand, describe, it } from 'node:test';
import { imageArn } from './image-of-world.ts';
import { goesOn, holdsTogether, liveMicrovms } from './invariants.ts';
import type { DiskMoment } from './power/durable-disk.ts';
import { type PossibleState, possibleStates } from './power/possible-states.ts';
import { type PowerScenario, powerScenarios } from './power/scenarios.ts';
import type { Subject } from './scenarios.ts';
import { World } from './world.ts';

/** What a client has been told by then, and holds on a server that finds it. */
type Promised = (world: World) => Promise<void>;

interface Moment {
  readonly disk: DiskMoment;
  readonly promised: readonly Promised[];
  readonly stored: ReadonlySet<string>;
}

/** A scenario at work: the VM it is about, and the versions there were before. */
interface Case {
  readonly subject: Subject | undefined;
  readonly known: readonly string[];
}

const statesAtOnce = 2;
/** FAULTS=all: takes twice as long. */
const thorough = process.env.FAULTS === 'all';

describe('a loss of power', { timeout: 3_600_000 }, () => {
  let world: World;
  beforehand(async () => {
    world = await World.create({ losesPower: true });
  });
  after(() => world.destroy());

  for (const scenario of powerScenarios) {
    it(scenario.name, async (context) => {
      const subject = await scenario.prepare(world);
      const known = await runnableVersions(world);
      const moments = await record(world, scenario, subject);
      await endAll(world);
      const seen = new Set<string>();
      const waiting: (() => Promise<void>)[] = [];
      for (const moment of moments) {
        for (const state of possibleStates(moment.disk, { thorough })) {
          const digest = `${state.digest} ${moment.promised.length}`;
          if (seen.has(digest)) continue;
          seen.add(digest);
          waiting.push(() => check(world, { subject, known }, state, moment));
        }
      }
      context.diagnostic(`${moments.length} moments, ${waiting.length} states`);
      const failures: unknown[] = [];
      const worker = async (): Promise<void> => {
        for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
          await next().catch((error: unknown) => failures.push(error));
        }
      };
      await Promise.all(Array.from({ length: statesAtOnce }, worker));
      assert.deepEqual(failures, []);
    });
  }
});

async function record(
  world: World,
  scenario: PowerScenario,
  subject: Subject | undefined,
): Promise<readonly Moment[]> {
  const { disk } = world;
  assert.ok(disk);
  const moments: Moment[] = [];
  const promised: Promised[] = [];
  const remember = (): void => {
    moments.push({ disk: disk.moment(), promised: [...promised], stored: storedVms(world.directory) });
  };
  disk.onMoment = remember;
  try {
    await scenario.act(world, subject, (promise) => promised.push(promise));
  } finally {
    disk.onMoment = () => undefined;
  }
  remember();
  return moments;
}

let checked = 0;

async function check(
  before: World,
  { subject, known }: Case,
  possible: PossibleState,
  { promised, stored }: Moment,
): Promise<void> {
  const scratch = path.join(before.directory, `../after-${checked++}`);
  const data = path.join(scratch, 'data');
  await mkdir(data, { recursive: true });
  const world = before.withPowerAgain(data);
  try {
    await possible.materialize(data);
    const mustStay = thatMustStay(data, stored);
    await world.start();
    await holdsTogether(world);
    for (const [microvmId, what] of mustStay) {
      const { state, stateReason } = await world.get(microvmId);
      assert.notEqual(state, 'TERMINATED', `${what} is lost: ${stateReason}`);
    }
    for (const vm of await liveMicrovms(world)) {
      if (vm.microvmId === subject?.vm.microvmId) await goesOn(world, subject);
      else await world.request(vm.microvmId);
    }
    for (const version of await runnableVersions(world)) {
      if (!known.includes(version)) await launchesFrom(world, version);
    }
    for (const promise of promised) await promise(world);
  } catch (error) {
    throw new Error(`with ${possible.description}`, { cause: error });
  } finally {
    await world.destroy();
    await rm(scratch, { recursive: true, force: true });
  }
}

/**
 * Live VMs that are not, or not only, in the memory of a process: by id, with what the store says of them before any
 * server looks at it.
 */
function thatMustStay(data: string, stored: ReadonlySet<string>): ReadonlyMap<string, string> {
  const store = new DatabaseSync(path.join(data, 'dormouse.sqlite'));
  const rows = store.prepare('select microvm_id, state, forked_from from microvms').all();
  store.close();
  const staying = rows.flatMap(({ microvm_id, state, forked_from }) => {
    const id = String(microvm_id);
    const fresh = state === 'PENDING' && forked_from === null;
    const atRest = (state === 'PENDING' || state === 'SUSPENDED') && stored.has(id);
    return fresh || atRest ? [[id, `what was ${state}`] as const] : [];
  });
  return new Map(staying);
}

/** VMs of which the disk has more than a process has: their virtual CPUs have not been started. */
function storedVms(directory: string): ReadonlySet<string> {
  const room = path.join(directory, 'microvms');
  const isStored = (id: string): boolean =>
    ['difference', 'replacement'].some((name) => existsSync(path.join(room, id, name)));
  return new Set(readdirSync(room).filter(isStored));
}

async function runnableVersions(world: World): Promise<readonly string[]> {
  const page = { limit: 100, after: undefined };
  const { items } = await world.call(({ images }) => images.listVersions(imageArn, page));
  return items.filter(({ state }) => state === 'SUCCESSFUL').map(({ imageVersion }) => imageVersion);
}

async function launchesFrom(world: World, imageVersion: string): Promise<void> {
  const vm = await world.run({ imageVersion });
  await world.reaches(vm.microvmId, 'RUNNING');
  await world.request(vm.microvmId);
}

async function endAll(world: World): Promise<void> {
  for (const { microvmId } of await liveMicrovms(world)) {
    await world.call(({ microvms }) => microvms.terminate(microvmId));
    await world.reaches(microvmId, 'TERMINATED');
  }
}
