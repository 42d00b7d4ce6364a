import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import {
  GetMicrovmCommand,
  type RunMicrovmCommandOutput,
  UpdateMicrovmImageVersionCommand,
} from '@aws-sdk/client-lambda-microvms';
import { counterContext } from '../support/counter-image.ts';
import { type CounterVms, continues } from '../support/counter-vms.ts';
import { DormouseServer, processesUsing } from '../support/dormouse-server.ts';
import { removeServer, startServerWithImage } from '../support/server-with-image.ts';
import { until } from '../support/until.ts';

const idlePolicy = { maxIdleDurationSeconds: 600, suspendedDurationSeconds: 600, autoResumeEnabled: true };
const flags = ['--warm-pool', 'fixed:1'];

describe('the warm pool', { timeout: 600_000 }, () => {
  let directory: string;
  let server: DormouseServer;
  let vms: CounterVms;
  let imageArn: string;

  before(async () => {
    ({ directory, server, imageArn, vms } = await startServerWithImage(
      'counter',
      await counterContext(),
      flags,
    ));
  });

  after(async () => {
    await removeServer(directory, server);
  });

  async function metric(name: string): Promise<number> {
    const text = await (await fetch(new URL('/metrics', server.ready.apiEndpoint))).text();
    return Number(new RegExp(`^dormouse_warm_pool_${name} (.*)$`, 'm').exec(text)?.[1]);
  }

  /** The pool is filled in the background, and nobody is told. */
  async function filledTo(count: number): Promise<void> {
    await until(`${count} in the pool`, async () => (await metric('microvms')) === count);
  }

  function vmProcesses(): Promise<readonly number[]> {
    return processesUsing(`${directory}/microvms`);
  }

  async function launch(): Promise<RunMicrovmCommandOutput> {
    const vm = await vms.run({ idlePolicy });
    await vms.reaches(vm, 'RUNNING');
    return vm;
  }

  test('gives each launch a VM of its own that is like any other', async () => {
    const first = await launch();
    await filledTo(1);
    const [second, third] = [await launch(), await vms.run({ idlePolicy })];
    assert.equal(await metric('hits_total'), 1);
    const all = [first, second, third];
    const counts = await Promise.all(all.map((vm) => vms.count(vm)));
    assert.deepEqual(
      counts.map(({ memory, disk }) => [memory, disk]),
      [
        [1, 1],
        [1, 1],
        [1, 1],
      ],
    );
    assert.deepEqual(
      counts.map(({ hostname }) => hostname),
      all.map(({ microvmId }) => microvmId),
    );
    assert.equal(new Set(counts.map(({ random }) => random)).size, 3);
    await vms.suspend(second);
    const [, before] = counts;
    assert.ok(before);
    continues(before, await vms.count(second));
    await Promise.all(all.map((vm) => vms.terminate(vm)));
    await filledTo(1);
    assert.equal((await vmProcesses()).length, 1, 'only the one kept ready is left');
  });

  test('leaves nothing behind when its server is killed, and when its version is withdrawn', async () => {
    const vm = await launch();
    await filledTo(1);
    const before = await vms.count(vm);
    await server.kill();
    const [own] = await processesUsing(`${directory}/microvms/${vm.microvmId}`);
    const [spare] = (await vmProcesses()).filter((pid) => pid !== own);
    assert.ok(own && spare);
    server = await DormouseServer.start(directory, flags);
    vms.server = server;
    assert.ok(!(await vmProcesses()).includes(spare), 'what was kept ready is gone');
    const { endpoint } = await server.client.send(new GetMicrovmCommand({ microvmIdentifier: vm.microvmId }));
    continues(before, await vms.count({ ...vm, endpoint }));
    await filledTo(1);
    assert.equal((await readdir(`${directory}/microvms`)).length, 2, 'another one is');

    const another = await launch();
    await filledTo(1);
    await server.client.send(
      new UpdateMicrovmImageVersionCommand({
        imageIdentifier: imageArn,
        imageVersion: '1.0',
        status: 'INACTIVE',
      }),
    );
    assert.equal(await metric('microvms'), 0);
    assert.equal((await vmProcesses()).length, 2);
    await Promise.all([vms.terminate(vm), vms.terminate(another)]);
    assert.deepEqual(await vmProcesses(), []);
    assert.deepEqual(await readdir(`${directory}/microvms`), []);
  });
});
