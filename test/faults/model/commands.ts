import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ServiceError } from '../../../src/errors.ts';
import { recalledActivity } from '../../../src/model/idle.ts';
import { type IdlePolicy, terminationReasons } from '../../../src/model/microvm.ts';
import { settles } from '../invariants.ts';
import type { World } from '../world.ts';
import {
  type Expected,
  ended,
  happen,
  launched,
  type Model,
  suspended,
  timePasses,
  use,
} from './expected.ts';

const mostMicrovms = 5;
/** As many have room to be awake. */
export const mostAwake = 3;
const mostCheckpoints = 3;
/** How long a launch or a wake waits for room. */
const patienceMs = 10_000;

type Command = fc.AsyncCommand<Model, World>;
type Work = (expected: Expected, world: World, model: Model) => Promise<void>;
type Applies = (expected: Expected, model: Model) => boolean;

function command(
  name: string,
  run: (model: Model, world: World) => Promise<void>,
  check: (model: Model) => boolean = () => true,
): Command {
  return {
    check,
    toString: () => name,
    run: async (model, world) => {
      await run(model, world);
      model.now = world.clock.now();
      for (const expected of model.live) timePasses(expected, model.now);
      await agrees(model, world);
    },
  };
}

async function agrees(model: Model, world: World): Promise<void> {
  for (const { vm } of model.vms) {
    const found = await world.reaches(vm.microvmId, vm.state);
    assert.equal(found.stateReason, vm.stateReason);
  }
}

/** A command for the VM at `index` among the live ones, if `applies`. */
function about(name: string, index: number, run: Work, applies: Applies = () => true): Command {
  const pick = (model: Model): Expected | undefined => model.pick(index);
  return command(
    `${name}(${index})`,
    async (model, world) => {
      const expected = pick(model);
      assert.ok(expected);
      await run(expected, world, model);
    },
    (model) => {
      const expected = pick(model);
      return expected !== undefined && applies(expected, model);
    },
  );
}

const isRunning = ({ vm }: Expected): boolean => vm.state === 'RUNNING';
const isSuspended: Applies = ({ vm }) => vm.state === 'SUSPENDED';
const mayWake: Applies = ({ vm }, model) => vm.state === 'RUNNING' || model.awake < mostAwake;
/** A sleeping VM without a policy does not wake for a request. */
const answers: Applies = (expected, model) =>
  isRunning(expected) || (expected.vm.idlePolicy !== null && mayWake(expected, model));

function launch(idlePolicy: IdlePolicy | undefined, maximumDurationInSeconds: number): Command {
  return command(
    `launch(${idlePolicy?.maxIdleDurationSeconds}, ${maximumDurationInSeconds})`,
    async (model, world) => {
      const vm = await world.run({ idlePolicy, maximumDurationInSeconds });
      model.vms.push(launched(vm, world.clock.now()));
    },
    (model) => model.live.length < mostMicrovms && model.awake < mostAwake,
  );
}

const request: Work = async (expected, world) => {
  const answer = await world.request(expected.vm.microvmId);
  const { answer: last } = expected;
  if (last !== undefined) {
    assert.equal(answer.memory, last.memory + 1, 'counts on');
    assert.equal(answer.instance, last.instance);
  }
  assert.equal(answer.memory, answer.disk, 'memory and disk are of one moment');
  if (expected.vm.state === 'SUSPENDED') happen(expected, world.clock.now(), { type: 'resumed' });
  expected.answer = answer;
  use(expected, world.clock.now());
};

const suspend: Work = async (expected, world) => {
  await world.call(({ microvms }) => microvms.suspend(expected.vm.microvmId));
  happen(expected, world.clock.now(), ...suspended);
};

const resume: Work = async (expected, world) => {
  await world.call(({ microvms }) => microvms.resume(expected.vm.microvmId));
  if (!isRunning(expected)) happen(expected, world.clock.now(), { type: 'resumed' });
};

const terminate: Work = async (expected, world) => {
  await world.call(({ microvms }) => microvms.terminate(expected.vm.microvmId));
  happen(expected, world.clock.now(), ...ended(terminationReasons.requested));
};

const fork: Work = async (parent, world, model) => {
  const [child] = await world.call(({ microvms }) => microvms.fork(parent.vm.microvmId, { count: 1 }));
  assert.ok(child);
  if (parent.vm.state === 'SUSPENDED') happen(parent, world.clock.now(), { type: 'resumed' });
  model.vms.push(launched(child, world.clock.now(), parent.answer));
};

const killMachine: Work = async (expected, world) => {
  const { vmmPid } = await world.call(({ microvms }) => microvms.inspect(expected.vm.microvmId));
  assert.ok(vmmPid);
  process.kill(vmmPid, 'SIGKILL');
  happen(expected, world.clock.now(), ...ended(terminationReasons.lost));
};

function exit(code: number): Work {
  return async (expected, world) => {
    // Its answer may not get out before the machine is gone.
    await world.request(expected.vm.microvmId, `/exit/${code}`).catch(() => undefined);
    happen(expected, world.clock.now(), ...ended(terminationReasons.containerStopped(code)));
  };
}

function setLease(seconds: number): Work {
  return async (expected, world) => {
    expected.leaseEndsAt = await world.call(({ microvms }) =>
      microvms.setLease(expected.vm.microvmId, seconds),
    );
    assert.equal(expected.leaseEndsAt, world.clock.now() + seconds * 1000);
  };
}

const endLease: Work = async (expected, world) => {
  await world.call(({ microvms }) => microvms.endLease(expected.vm.microvmId));
  expected.leaseEndsAt = undefined;
};

const checkpoint: Work = async (expected, world) => {
  const { checkpointId } = await world.call(({ microvms }) =>
    microvms.checkpoints.create(expected.vm.microvmId),
  );
  expected.checkpoints.push({ id: checkpointId, answer: expected.answer });
};

function rollBack(index: number): Work {
  return async (expected, world) => {
    const { microvmId } = expected.vm;
    const kept = await world.call(({ microvms }) => microvms.checkpoints.list(microvmId));
    assert.deepEqual(
      kept.map(({ checkpointId }) => checkpointId).sort(),
      expected.checkpoints.map(({ id }) => id).sort(),
    );
    const chosen = expected.checkpoints[index % expected.checkpoints.length];
    assert.ok(chosen);
    await world.call(({ microvms }) => microvms.checkpoints.rollBack(microvmId, chosen.id));
    expected.answer = chosen.answer;
    if (isRunning(expected)) happen(expected, world.clock.now(), ...suspended, { type: 'resumed' });
  };
}

/** Nobody falls asleep or ends while somebody waits for room. */
function nothingDue(model: Model): boolean {
  return model.live.every((expected) => {
    const then = { ...expected };
    timePasses(then, model.now + patienceMs);
    return then.vm === expected.vm;
  });
}

/** What needs room where there is none waits for its time, is refused, and has changed nothing. */
async function isRefused(world: World, work: () => Promise<unknown>): Promise<void> {
  const outcome = work().then(
    () => assert.fail('there is no room'),
    (error: unknown) => error,
  );
  await world.waiting(1);
  world.clock.advance(patienceMs);
  const error = await outcome;
  assert.ok(error instanceof Error);
  const code = error instanceof ServiceError ? error.code : 'code' in error ? error.code : error;
  assert.match(String(code), /^(InsufficientCapacityException|INSUFFICIENT_CAPACITY)$/);
}

const full = (model: Model): boolean => model.awake >= mostAwake && nothingDue(model);
const cannotWake: Applies = (expected, model) => expected.vm.state === 'SUSPENDED' && full(model);

async function restart(model: Model, world: World, how: 'stop' | 'crash'): Promise<void> {
  if (how === 'stop') await world.stop();
  else world.server.process.crash();
  await world.start();
  for (const expected of model.live) {
    expected.lastActivityAt = recalledActivity(expected.activityStoredAt, world.clock.now());
  }
}

/** A transition is cut short by a crash: the VM is then where it was or where it was going, and whole. */
function crashDuring(at: number): Work {
  return async (expected, world, model) => {
    const { microvmId } = expected.vm;
    world.server.process.plan({ type: 'crash', at });
    const toggle = world.call(({ microvms }) =>
      expected.vm.state === 'RUNNING' ? microvms.suspend(microvmId) : microvms.resume(microvmId),
    );
    await toggle.then(() => world.reaches(microvmId, 'RUNNING', 'SUSPENDED')).catch(() => undefined);
    await restart(model, world, 'crash');
    await settles(world);
    const { state } = await world.get(microvmId);
    assert.ok(state === 'RUNNING' || state === 'SUSPENDED', `the VM is ${state}`);
    if (state === expected.vm.state) return;
    happen(
      expected,
      world.clock.now(),
      ...(state === 'RUNNING' ? [{ type: 'resumed' } as const] : suspended),
    );
  };
}

const mayFork: Applies = ({ vm }, model) =>
  model.live.length < mostMicrovms && model.awake + (vm.state === 'RUNNING' ? 1 : 2) <= mostAwake;
// One that may not sleep ends by its suspend.
const maySleep: Applies = ({ vm }) => vm.idlePolicy?.suspendedDurationSeconds !== 0;

const day = 24 * 3600;
const policies = fc.constantFrom(
  undefined,
  { maxIdleDurationSeconds: 60, suspendedDurationSeconds: 600, autoResumeEnabled: true },
  { maxIdleDurationSeconds: 200, suspendedDurationSeconds: 0, autoResumeEnabled: true },
  { maxIdleDurationSeconds: 60, suspendedDurationSeconds: 300 * day, autoResumeEnabled: true },
);
const indexes = fc.nat(mostMicrovms - 1);

function forEach(name: string, work: Work, applies?: Applies): fc.Arbitrary<Command> {
  return indexes.map((index) => about(name, index, work, applies));
}

const launches = fc
  .tuple(policies, fc.constantFrom(1000, 28_800, 400 * day))
  .map(([policy, seconds]) => launch(policy, seconds));
const requests = forEach('request', request, answers);

/** Each is as likely as the others; what brings VMs about and what most often applies to none come several times. */
export const commands: fc.Arbitrary<Command>[] = [
  ...[launches, launches, launches, launches, requests, requests],
  forEach('suspend', suspend, isRunning),
  forEach('resume', resume, mayWake),
  forEach('terminate', terminate),
  forEach('fork', fork, mayFork),
  forEach('kill the machine', killMachine, isRunning),
  fc.constantFrom(0, 7).chain((code) => forEach(`exit with ${code}`, exit(code), isRunning)),
  fc.constantFrom(30, 300).chain((seconds) => forEach(`lease of ${seconds} s`, setLease(seconds))),
  forEach('end of the lease', endLease),
  forEach('checkpoint', checkpoint, ({ checkpoints }) => checkpoints.length < mostCheckpoints),
  fc
    .nat(mostCheckpoints - 1)
    .chain((at) => forEach(`roll back to ${at}`, rollBack(at), ({ checkpoints }) => checkpoints.length > 0)),
  fc.constant(
    command(
      'launch without room',
      (_model, world) => isRefused(world, () => world.run()),
      (model) => full(model) && model.live.length < mostMicrovms,
    ),
  ),
  forEach(
    'resume without room',
    ({ vm }, world) => isRefused(world, () => world.call(({ microvms }) => microvms.resume(vm.microvmId))),
    cannotWake,
  ),
  forEach(
    'request without room',
    ({ vm }, world) => isRefused(world, () => world.request(vm.microvmId)),
    (expected, model) => cannotWake(expected, model) && expected.vm.idlePolicy !== null,
  ),
  forEach(
    'fork without room',
    ({ vm }, world) =>
      isRefused(world, () => world.call(({ microvms }) => microvms.fork(vm.microvmId, { count: 1 }))),
    (expected, model) => full(model) && (isRunning(expected) || isSuspended(expected, model)),
  ),
  fc
    .nat(30)
    .chain((at) =>
      forEach(
        `crash at step ${at}`,
        crashDuring(at),
        (expected, model) => maySleep(expected, model) && mayWake(expected, model),
      ),
    ),
  fc
    .constantFrom(1, 10, 70, 10, 700, 30 * day)
    .map((seconds) =>
      command(`advance(${seconds})`, async (_model, world) => world.clock.advance(seconds * 1000)),
    ),
  fc
    .constantFrom('stop' as const, 'crash' as const)
    .map((how) => command(`restart(${how})`, (model, world) => restart(model, world, how))),
];
