/*
 * The engine against the pure model: whatever clients, time and crashes do to a few microVMs, each is in the state
 * that the state machine and the idle rules say, and counts on from what its application last answered.
 */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import fc from 'fast-check';
import { activityStoredEveryMs, nextDue, recalledActivity } from '../../src/model/idle.ts';
import { applyEvent, type IdlePolicy, type Microvm, type MicrovmEvent } from '../../src/model/microvm.ts';
import { holdsTogether, liveMicrovms, settles } from './invariants.ts';
import { type Answer, World } from './world.ts';

/** The same each time, so that a run judges the change and not its luck; the environment names others. */
const seed = Number(process.env.FC_SEED ?? 235_734_513);
const runs = Number(process.env.FC_RUNS ?? 12);
const longestRun = 80;
const mostMicrovms = 5;

/** A microVM as it should be. */
interface Expected {
  vm: Microvm;
  lastActivityAt: number;
  /** What a server that starts finds of that. */
  activityStoredAt: number;
  answer: Answer | undefined;
}

class Model {
  readonly vms: Expected[] = [];

  get live(): readonly Expected[] {
    return this.vms.filter(({ vm }) => vm.state !== 'TERMINATED');
  }

  pick(index: number): Expected | undefined {
    return this.live[index % Math.max(1, this.live.length)];
  }
}

function happen(expected: Expected, now: number, ...events: readonly MicrovmEvent[]): void {
  for (const event of events) expected.vm = applyEvent(expected.vm, event, now);
  if (expected.vm.state === 'RUNNING') expected.lastActivityAt = now;
  expected.activityStoredAt = expected.lastActivityAt;
}

/** A microVM that has just been asked for runs. */
function launched(vm: Microvm, now: number, answer?: Answer): Expected {
  const expected = { vm, lastActivityAt: now, activityStoredAt: now, answer };
  happen(expected, now, { type: 'launched' });
  return expected;
}

function use(expected: Expected, now: number): void {
  expected.lastActivityAt = now;
  if (now >= expected.activityStoredAt + activityStoredEveryMs) expected.activityStoredAt = now;
}

const suspended: readonly MicrovmEvent[] = [{ type: 'suspend-started' }, { type: 'suspend-finished' }];

function ended(reason: string): readonly MicrovmEvent[] {
  return [
    { type: 'terminate-started', reason },
    { type: 'terminated', reason },
  ];
}

/** What time does to a VM by `now`. */
function timePasses(expected: Expected, now: number): void {
  for (;;) {
    const due = nextDue(expected.vm, expected.lastActivityAt);
    if (due === undefined || due.at > now) return;
    const events = due.action.type === 'suspend' ? suspended : ended(due.action.reason);
    happen(expected, now, ...events);
  }
}

async function agrees(model: Model, world: World): Promise<void> {
  for (const { vm } of model.vms) {
    const found = await world.reaches(vm.microvmId, vm.state);
    assert.equal(found.stateReason, vm.stateReason);
  }
}

async function request(expected: Expected, world: World): Promise<void> {
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
}

type Command = fc.AsyncCommand<Model, World>;

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
      for (const expected of model.live) timePasses(expected, world.clock.now());
      await agrees(model, world);
    },
  };
}

/** A command for the VM at `index` among the live ones, if `applies`. */
function about(
  name: string,
  index: number,
  run: (expected: Expected, world: World, model: Model) => Promise<void>,
  applies: (expected: Expected, model: Model) => boolean = () => true,
): Command {
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

function launch(idlePolicy: IdlePolicy | undefined, maximumDurationInSeconds: number): Command {
  return command(
    `launch(${idlePolicy?.maxIdleDurationSeconds}, ${maximumDurationInSeconds})`,
    async (model, world) => {
      const vm = await world.run({ idlePolicy, maximumDurationInSeconds });
      model.vms.push(launched(vm, world.clock.now()));
    },
    (model) => model.live.length < mostMicrovms,
  );
}

async function fork(parent: Expected, world: World, model: Model): Promise<void> {
  const [child] = await world.call(({ microvms }) => microvms.fork(parent.vm.microvmId, { count: 1 }));
  assert.ok(child);
  if (parent.vm.state === 'SUSPENDED') happen(parent, world.clock.now(), { type: 'resumed' });
  model.vms.push(launched(child, world.clock.now(), parent.answer));
}

async function restart(model: Model, world: World, how: 'stop' | 'crash'): Promise<void> {
  if (how === 'stop') await world.stop();
  else world.server.process.crash();
  await world.start();
  for (const expected of model.live) {
    expected.lastActivityAt = recalledActivity(expected.activityStoredAt, world.clock.now());
  }
}

/** A transition is cut short by a crash: the VM is then where it was or where it was going, and whole. */
async function crashDuring(expected: Expected, world: World, at: number, model: Model): Promise<void> {
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
  happen(expected, world.clock.now(), ...(state === 'RUNNING' ? [{ type: 'resumed' } as const] : suspended));
}

const indexes = fc.nat(mostMicrovms - 1);
const policies = fc.constantFrom(
  undefined,
  { maxIdleDurationSeconds: 60, suspendedDurationSeconds: 600, autoResumeEnabled: true },
  { maxIdleDurationSeconds: 200, suspendedDurationSeconds: 0, autoResumeEnabled: true },
);
const wakes = ({ vm }: Expected): boolean => vm.state === 'RUNNING' || vm.idlePolicy !== null;

const commands: fc.Arbitrary<Command>[] = [
  fc.tuple(policies, fc.constantFrom(1000, 28_800)).map(([policy, seconds]) => launch(policy, seconds)),
  indexes.map((index) => about('request', index, request, wakes)),
  indexes.map((index) =>
    about(
      'suspend',
      index,
      async (expected, world) => {
        await world.call(({ microvms }) => microvms.suspend(expected.vm.microvmId));
        happen(expected, world.clock.now(), ...suspended);
      },
      isRunning,
    ),
  ),
  indexes.map((index) =>
    about('resume', index, async (expected, world) => {
      await world.call(({ microvms }) => microvms.resume(expected.vm.microvmId));
      if (!isRunning(expected)) happen(expected, world.clock.now(), { type: 'resumed' });
    }),
  ),
  indexes.map((index) =>
    about('terminate', index, async (expected, world) => {
      await world.call(({ microvms }) => microvms.terminate(expected.vm.microvmId));
      happen(expected, world.clock.now(), ...ended('Success.'));
    }),
  ),
  indexes.map((index) => about('fork', index, fork, (_, model) => model.live.length < mostMicrovms)),
  indexes.map((index) =>
    about(
      'kill the machine',
      index,
      async (expected, world) => {
        const { vmmPid } = await world.call(({ microvms }) => microvms.inspect(expected.vm.microvmId));
        assert.ok(vmmPid);
        process.kill(vmmPid, 'SIGKILL');
        happen(expected, world.clock.now(), ...ended('The MicroVM stopped unexpectedly.'));
      },
      isRunning,
    ),
  ),
  fc.tuple(indexes, fc.nat(30)).map(([index, at]) =>
    about(
      `crash at step ${at}`,
      index,
      (expected, world, model) => crashDuring(expected, world, at, model),
      // One that may not sleep ends by its suspend.
      ({ vm }) => vm.idlePolicy?.suspendedDurationSeconds !== 0,
    ),
  ),
  fc
    .constantFrom(10, 70, 700)
    .map((seconds) =>
      command(`advance(${seconds})`, async (_model, world) => world.clock.advance(seconds * 1000)),
    ),
  fc
    .constantFrom('stop' as const, 'crash' as const)
    .map((how) => command(`restart(${how})`, (model, world) => restart(model, world, how))),
];

let world: World;
before(async () => {
  world = await World.create({ tickMs: 0 });
});
after(() => world.destroy());

it('the engine does what the model says', { timeout: 1_800_000 }, async (context) => {
  let done = 0;
  await fc.assert(
    fc.asyncProperty(fc.commands(commands, { maxCommands: longestRun, size: 'max' }), async (sequence) => {
      await fc.asyncModelRun(() => ({ model: new Model(), real: world }), sequence);
      done += [...sequence].length;
      await holdsTogether(world);
      for (const { microvmId } of await liveMicrovms(world)) {
        await world.call(({ microvms }) => microvms.terminate(microvmId));
        await world.reaches(microvmId, 'TERMINATED');
      }
      await holdsTogether(world);
    }),
    { numRuns: runs, seed, endOnFailure: true },
  );
  context.diagnostic(`${done} commands, seed ${seed}`);
});
