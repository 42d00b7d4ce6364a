import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { goesOn, holdsTogether, livesAndEnds } from '../invariants.ts';
import { asleep, awake } from '../scenarios.ts';
import { type Fault, ServerProcess, type Step } from '../server-process.ts';
import { World } from '../world.ts';
import { faultAt } from './every-step.ts';

describe('every step: a start of the server', { timeout: 3_600_000 }, () => {
  for (const kind of ['fail', 'crash'] as const) {
    it(kind, async (context) => {
      const world = await World.create();
      context.after(() => world.destroy());
      const running = await awake(world);
      const sleeping = await asleep(world);
      for (let at = 0, struck: Step | undefined; at === 0 || struck !== undefined; at += 1) {
        struck = await strikeStart(world, faultAt(world, kind, at));
        for (const subject of [running, sleeping]) await goesOn(world, subject);
        await world.call(({ microvms }) => microvms.suspend(sleeping.vm.microvmId));
        await world.reaches(sleeping.vm.microvmId, 'SUSPENDED');
      }
      for (const subject of [running, sleeping]) await livesAndEnds(world, subject);
      await holdsTogether(world);
    });
  }
});

/** Ends the server and starts another against a fault, and a third where that one did not come up. */
async function strikeStart(world: World, fault: Fault): Promise<Step | undefined> {
  world.server.process.crash();
  const process = new ServerProcess(world.directory);
  process.plan(fault);
  const started = await world.start(process).then(
    () => true,
    () => false,
  );
  const { struck } = process;
  process.plan({ type: 'none' });
  assert.ok(started || struck !== undefined, 'the server does not start');
  if (started) return struck;
  process.crash();
  await world.start();
  return struck;
}
