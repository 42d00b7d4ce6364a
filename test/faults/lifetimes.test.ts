/* What time does to microVMs, across servers that stop and crash: no timer starts anew with a server. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { terminationReasons } from '../../src/model/microvm.ts';
import { holdsTogether, liveMicrovms } from './invariants.ts';
import { World } from './world.ts';

const idlePolicy = { maxIdleDurationSeconds: 60, suspendedDurationSeconds: 600, autoResumeEnabled: true };

describe('time and restarts', { timeout: 600_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.create({ tickMs: 0 });
  });
  after(() => world.destroy());
  afterEach(async () => {
    for (const { microvmId } of await liveMicrovms(world)) {
      await world.call(({ microvms }) => microvms.terminate(microvmId));
      await world.reaches(microvmId, 'TERMINATED');
    }
    await holdsTogether(world);
  });

  async function awake(input: Parameters<World['run']>[0] = { idlePolicy }): Promise<string> {
    const { microvmId } = await world.run(input);
    await world.reaches(microvmId, 'RUNNING');
    await world.request(microvmId);
    return microvmId;
  }

  async function asleep(input?: Parameters<World['run']>[0]): Promise<string> {
    const microvmId = await awake(input);
    await world.call(({ microvms }) => microvms.suspend(microvmId));
    await world.reaches(microvmId, 'SUSPENDED');
    return microvmId;
  }

  const restarts = { stops: () => world.stop(), crashes: async () => world.server.process.crash() };

  async function stateOf(microvmId: string): Promise<string> {
    // Whatever is due has been begun by now, and a call waits for what is under way.
    await holdsTogether(world);
    return (await world.get(microvmId)).state;
  }

  for (const [how, end] of Object.entries(restarts)) {
    it(`idle time goes on when the server ${how}`, async () => {
      const microvmId = await awake();
      world.clock.advance(40_000);
      await end();
      await world.start();
      world.clock.advance(19_000);
      assert.equal(await stateOf(microvmId), 'RUNNING');
      // What is stored of its activity is up to ten seconds old, to its advantage.
      world.clock.advance(11_000);
      await world.reaches(microvmId, 'SUSPENDED');
    });

    it(`a microVM that was idle for long enough sleeps at once after the server ${how}`, async () => {
      const microvmId = await awake();
      await end();
      world.clock.advance(3_600_000);
      await world.start();
      await world.reaches(microvmId, 'SUSPENDED');
    });

    it(`one used right before the server ${how} has the whole of its idle time`, async () => {
      const microvmId = await awake();
      for (let second = 0; second < 45; second += 9) {
        world.clock.advance(9_000);
        await world.request(microvmId);
      }
      await end();
      await world.start();
      world.clock.advance(59_000);
      assert.equal(await stateOf(microvmId), 'RUNNING');
    });

    it(`the maximum duration ends what runs and what sleeps, though the server ${how}`, async () => {
      const input = { idlePolicy, maximumDurationInSeconds: 500 };
      const [running, sleeping] = [await awake({ ...input, idlePolicy: undefined }), await asleep(input)];
      world.clock.advance(300_000);
      await end();
      world.clock.advance(100_000);
      await world.start();
      assert.deepEqual([await stateOf(running), await stateOf(sleeping)], ['RUNNING', 'SUSPENDED']);
      world.clock.advance(100_000);
      for (const microvmId of [running, sleeping]) {
        const { stateReason, startedAt, terminatedAt } = await world.reaches(microvmId, 'TERMINATED');
        assert.equal(stateReason, 'MicroVM exceeded maximum lifetime.');
        assert.equal(terminatedAt, startedAt + 500_000);
      }
    });

    it(`the suspended duration goes on when the server ${how}`, async () => {
      const microvmId = await asleep();
      world.clock.advance(300_000);
      await end();
      world.clock.advance(299_000);
      await world.start();
      assert.equal(await stateOf(microvmId), 'SUSPENDED');
      world.clock.advance(1_000);
      const { stateReason } = await world.reaches(microvmId, 'TERMINATED');
      assert.equal(stateReason, 'MicroVM exceeded maximum lifetime.');
    });
  }

  it('the end of the main process ends a microVM with its exit code', async () => {
    const microvmId = await awake();
    // Its answer may not get out before the machine is gone.
    await world.request(microvmId, '/exit/7').catch(() => undefined);
    const { stateReason } = await world.reaches(microvmId, 'TERMINATED');
    assert.equal(stateReason, 'Container Stopped with Exit Code: 7');
  });

  it('a main process that ended while there was no server is reported by the next', async () => {
    const microvmId = await awake();
    world.server.process.plan({ type: 'crash', at: 0 });
    await world.request(microvmId, '/exit/124').catch(() => undefined);
    await world.server.process.crashed;
    await world.start();
    const { stateReason } = await world.reaches(microvmId, 'TERMINATED');
    assert.equal(stateReason, 'Container Stopped with Exit Code: 124');
  });

  it('a suspend that was accepted before a crash comes about, and the application hears of both', async () => {
    const microvmId = await awake();
    await world.call(({ microvms }) => microvms.suspend(microvmId));
    await world.crashAndStart();
    await world.reaches(microvmId, 'SUSPENDED');
    const { suspends, resumes } = await world.request(microvmId);
    assert.ok(suspends >= 1);
    assert.equal(resumes, 1);
  });

  it('a wake that fails by its hook ends a microVM, whatever server notices, and leaves none asleep for ever', async () => {
    for (let at = 0, struck = true; struck; at += 7) {
      const microvmId = await awake();
      await world.request(microvmId, '/hook/resume/500');
      await world.call(({ microvms }) => microvms.suspend(microvmId));
      await world.reaches(microvmId, 'SUSPENDED');
      const { process } = world.server;
      process.plan({ type: 'crash', at });
      const resume = (): Promise<void> => world.call(({ microvms }) => microvms.resume(microvmId));
      await assert.rejects(resume());
      process.plan({ type: 'none' });
      struck = process.dead;
      if (struck) await world.start();
      if ((await world.get(microvmId)).state !== 'TERMINATED') await assert.rejects(resume());
      const { stateReason } = await world.reaches(microvmId, 'TERMINATED');
      // A server that was killed right after it had ended the machine took the reason with it.
      assert.match(
        stateReason ?? '',
        /^(Resume lifecycle hook returned HTTP status 500\. |The MicroVM stopped )/,
      );
    }
  });

  it('a termination that was accepted before a crash comes about with its reason', async () => {
    const microvmId = await awake();
    await world.call(({ microvms }) => microvms.terminate(microvmId));
    await world.crashAndStart();
    const { stateReason } = await world.reaches(microvmId, 'TERMINATED');
    assert.equal(stateReason, terminationReasons.requested);
  });
});
