/*
 * The engine against the pure model: whatever clients, time and crashes do to a few microVMs, each is in the state
 * that the state machine and the idle rules say, and counts on from what its application last answered.
 */
import { after, before, it } from 'node:test';
import fc from 'fast-check';
import { holdsTogether, liveMicrovms } from './invariants.ts';
import { commands, mostAwake } from './model/commands.ts';
import { Model } from './model/expected.ts';
import { World } from './world.ts';

/** The same each time, so that a run judges the change and not its luck; the environment names others. */
const seed = Number(process.env.FC_SEED ?? 235_734_513);
const runs = Number(process.env.FC_RUNS ?? 12);
const longestRun = 80;

let world: World;
before(async () => {
  world = await World.create({ tickMs: 0, mostVcpus: mostAwake });
});
after(() => world.destroy());

it('the engine does what the model says', { timeout: 1_800_000 }, async (context) => {
  let done = 0;
  await fc.assert(
    fc.asyncProperty(fc.commands(commands, { maxCommands: longestRun, size: 'max' }), async (sequence) => {
      await fc.asyncModelRun(() => ({ model: new Model(world.clock.now()), real: world }), sequence);
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
