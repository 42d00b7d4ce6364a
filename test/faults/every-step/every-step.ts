/*
 * Every step of every transition fails once, and at every one of them the server crashes once and every VMM is killed
 * once. It is not a sample: the fault moves on by one step until a transition completes without meeting it.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { goesOn, holdsTogether, liveMicrovms, livesAndEnds, settles } from '../invariants.ts';
import type { Subject } from '../scenarios.ts';
import type { FailureCode, Fault, Step } from '../server-process.ts';
import { World, type WorldOptions } from '../world.ts';

const codes: readonly FailureCode[] = ['EIO', 'ENOSPC', 'EROFS'];
const mostSteps = 600;
/** What a server that went on left behind is looked at by another one for each so many steps. */
const restartEvery = 4;

/** A transition as a client drives it. */
export interface Scenario {
  readonly name: string;
  /** Brings a VM to where the transition begins; undefined where that needs none. */
  prepare(world: World): Promise<Subject | undefined>;
  /** Ends when the transition is complete, as far as a client can tell. */
  act(world: World, subject: Subject | undefined): Promise<void>;
  /** Looks at what became of it before anything else is asked of the VM, which may have ended. */
  verify?(world: World, subject: Subject): Promise<void>;
  /** A VM may end by the transition itself. */
  readonly ends?: true;
  /** The transition is about images, of which a fault may leave one more or less. */
  readonly images?: true;
  /** Strikes each so many-th step only, unless `FAULTS=all`: one whose steps are mostly those of another as well. */
  readonly stride?: number;
  /** Of the world it happens in. */
  readonly options?: WorldOptions;
}

/** What a scenario was told that is not true, whatever fault there was. Its other errors may be the fault's. */
class ContradictionError extends Error {
  override readonly name = 'ContradictionError';
}

/** @throws {ContradictionError} */
export function holds(condition: boolean, otherwise: string): void {
  if (!condition) throw new ContradictionError(otherwise);
}

type Kind = Exclude<Fault['type'], 'none' | 'hold' | 'refuse' | 'kill-database'>;

export function faultAt(world: World, kind: Kind, at: number): Fault {
  switch (kind) {
    case 'fail':
      return { type: 'fail', at, code: codes[at % codes.length] ?? 'EIO' };
    case 'crash':
      return { type: 'crash', at };
    case 'kill-machines':
      return { type: 'kill-machines', at, kill: () => world.killMachines() };
  }
}

/** Runs a scenario against one fault; tells which step it struck, or undefined when it struck none. */
async function strike(world: World, scenario: Scenario, kind: Kind, at: number): Promise<Step | undefined> {
  const subject = await scenario.prepare(world);
  const { process } = world.server;
  process.plan(faultAt(world, kind, at));
  await scenario.act(world, subject).catch((error: unknown) => {
    if (error instanceof ContradictionError) throw error;
  });
  const { struck } = process;
  process.plan({ type: 'none' });
  // The step may have been one that nobody waits for.
  await world.killed();
  if (!process.dead && !scenario.images) await settles(world);
  try {
    if (process.dead) await world.start();
    await check(world, scenario, kind, subject);
    if (!process.dead && at % restartEvery === 0) {
      await world.crashAndStart();
      await check(world, scenario, kind, subject);
    }
    if (subject !== undefined && (await world.get(subject.vm.microvmId)).state !== 'TERMINATED') {
      await livesAndEnds(world, subject);
    }
    await endAll(world);
    await holdsTogether(world);
  } catch (error) {
    throw new Error(`${kind} at step ${at}: ${struck?.name ?? 'none'}`, { cause: error });
  }
  return struck;
}

async function check(
  world: World,
  scenario: Scenario,
  kind: Kind,
  subject: Subject | undefined,
): Promise<void> {
  await holdsTogether(world);
  if (subject === undefined) return;
  await scenario.verify?.(world, subject);
  const { state, stateReason } = await world.get(subject.vm.microvmId);
  if (state !== 'TERMINATED') return await goesOn(world, subject);
  // A process that was killed takes what only it held; nothing else may cost a VM its life.
  const mayEnd = scenario.ends === true || kind === 'kill-machines';
  assert.ok(mayEnd, `the VM was lost: ${stateReason}`);
}

async function endAll(world: World): Promise<void> {
  for (const { microvmId } of await liveMicrovms(world)) {
    await world.call(({ microvms }) => microvms.terminate(microvmId));
    await world.reaches(microvmId, 'TERMINATED');
  }
}

/** Declares the tests of one transition. */
export function everyStep(scenario: Scenario): void {
  describe(`every step: ${scenario.name}`, { timeout: 3_600_000 }, () => {
    for (const kind of ['fail', 'crash', 'kill-machines'] as const) {
      it(kind, async (context) => {
        const world = await World.create(scenario.options);
        context.after(() => world.destroy());
        const stride = process.env.FAULTS === 'all' ? 1 : (scenario.stride ?? 1);
        let at = 0;
        while ((await strike(world, scenario, kind, at)) !== undefined) {
          at += stride;
          assert.ok(at < mostSteps, 'the transition has no end');
        }
        assert.ok(at > 0, 'the fault met no step');
        context.diagnostic(`${at} steps`);
      });
    }
  });
}
