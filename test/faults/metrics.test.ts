/* What the metrics tell of microVMs that lived and ended on the fake machine. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { awake } from './scenarios.ts';
import { World } from './world.ts';

it('counts every end by its cause, and times every way to store a microVM and to return', async (t) => {
  const world = await World.create({ tickMs: 0 });
  t.after(() => world.destroy());
  const ends = async (): Promise<string> => {
    const lines = (await world.server.metrics.text()).split('\n');
    const counted = lines.flatMap(
      (line) => /^dormouse_microvm_ends_total\{cause="(.*)"\} (.*)$/.exec(line) ?? [],
    );
    return counted.filter((_part, index) => index % 3 !== 0).join(' ');
  };
  assert.equal(await ends(), 'requested 0 lifetime 0 exited 0 hook_failed 0 launch_failed 0 lost 0');

  const { microvmId } = (await awake(world)).vm;
  await world.call(({ microvms }) => microvms.checkpoints.create(microvmId, 'moment'));
  await world.call(({ microvms }) => microvms.checkpoints.rollBack(microvmId, 'moment'));
  await world.call(({ microvms }) => microvms.checkpoints.commit(microvmId));
  await assert.rejects(world.call(({ microvms }) => microvms.checkpoints.rollBack(microvmId, 'another')));
  await world.call(({ microvms }) => microvms.terminate(microvmId));
  await world.reaches(microvmId, 'TERMINATED');
  const text = await world.server.metrics.text();
  for (const transition of ['checkpoint', 'rollback', 'commit', 'terminate']) {
    const counted = `dormouse_microvm_transition_duration_seconds_count{transition="${transition}",outcome="success"} 1`;
    assert.ok(text.includes(`${counted}\n`), counted);
  }
  assert.ok(!text.includes('outcome="failed"'), 'what cannot be asked for is no failed transition');

  const exits = (await awake(world)).vm;
  await world.request(exits.microvmId, '/exit/3').catch(() => undefined);
  await world.reaches(exits.microvmId, 'TERMINATED');
  const grows = await world.run({ maximumDurationInSeconds: 60 });
  await world.reaches(grows.microvmId, 'RUNNING');
  world.clock.advance(61_000);
  await world.reaches(grows.microvmId, 'TERMINATED');
  const dies = (await awake(world)).vm;
  await world.killMachines();
  await world.reaches(dies.microvmId, 'TERMINATED');
  const hears = (await awake(world)).vm;
  await world.request(hears.microvmId, '/hook/suspend/500');
  await world.call(({ microvms }) => microvms.suspend(hears.microvmId));
  await world.reaches(hears.microvmId, 'TERMINATED');
  assert.equal(await ends(), 'requested 1 lifetime 1 exited 1 hook_failed 1 launch_failed 0 lost 1');
});
