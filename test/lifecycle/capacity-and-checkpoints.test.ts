import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { GetMicrovmCommand } from '@aws-sdk/client-lambda-microvms';
import { builtImage, counterContext, createImage, zip } from '../support/counter-image.ts';
import { CounterVms, continues } from '../support/counter-vms.ts';
import { DormouseServer, removeDataDirectory, temporaryDirectory } from '../support/dormouse-server.ts';
import { signedSuccess } from '../support/signed-request.ts';

const idlePolicy = { maxIdleDurationSeconds: 600, suspendedDurationSeconds: 600, autoResumeEnabled: true };

describe('capacity and checkpoints', { timeout: 600_000 }, () => {
  let directory: string;
  let server: DormouseServer;
  let vms: CounterVms;

  before(async () => {
    directory = await temporaryDirectory();
    // Room for one of these that nothing is known of yet.
    server = await DormouseServer.start(directory, ['--memory-budget', '300', '--evict-idle']);
    const imageArn = await createImage(server, 'counter', await zip(await counterContext()));
    assert.deepEqual(await builtImage(server, imageArn), { state: 'CREATED', reason: '' });
    vms = new CounterVms(server, imageArn);
  });

  after(async () => {
    await server.stop();
    await removeDataDirectory(directory);
  });

  test('a launch and a wake without room put the longest idle to sleep, which goes on later', async () => {
    const first = await vms.run({ idlePolicy });
    const before = await vms.count(first);
    const second = await vms.run({ idlePolicy });
    await vms.reaches(second, 'RUNNING');
    assert.equal(await vms.state(first), 'SUSPENDED');
    continues(before, await vms.count(first));
    assert.equal(await vms.state(second), 'SUSPENDED');
    await Promise.all([vms.terminate(first), vms.terminate(second)]);
  });

  test('a VM goes back to its checkpoints, running and asleep, and across a crash of the server', async () => {
    const vm = await vms.run({ idlePolicy });
    const start = await vms.count(vm);
    const collection = `/dormouse/v1/microvms/${vm.microvmId}/checkpoints`;
    await signedSuccess(server.ready, 'POST', collection, { name: 'running' });
    const second = await vms.count(vm);
    continues(start, second);
    await vms.suspend(vm);
    await signedSuccess(server.ready, 'POST', collection, { name: 'asleep' });
    assert.equal(await vms.state(vm), 'SUSPENDED', 'a sleeping VM sleeps on');
    continues(second, await vms.count(vm));

    const { state } = await signedSuccess(server.ready, 'POST', `${collection}/running/rollback`);
    assert.equal(state, 'RUNNING');
    const back = await vms.count(vm);
    continues(start, back);
    assert.notEqual(back.random, second.random, 'the same moment, other random numbers');

    await vms.suspend(vm);
    await signedSuccess(server.ready, 'POST', `${collection}/asleep/rollback`);
    assert.equal(await vms.state(vm), 'SUSPENDED');
    await server.kill();
    server = await DormouseServer.start(directory);
    vms.server = server;
    const { endpoint } = await server.client.send(new GetMicrovmCommand({ microvmIdentifier: vm.microvmId }));
    const third = await vms.count({ ...vm, endpoint });
    continues(second, third);

    const prepared = await signedSuccess(
      server.ready,
      'POST',
      `/dormouse/v1/microvms/${vm.microvmId}/image-version`,
      { imageName: 'prepared' },
    );
    assert.deepEqual(
      [prepared.imageVersion, prepared.state, prepared.status],
      ['1.0', 'SUCCESSFUL', 'ACTIVE'],
    );

    const { checkpoints } = await signedSuccess(server.ready, 'GET', collection);
    assert.deepEqual(
      (checkpoints as { name: string }[]).map(({ name }) => name),
      ['running', 'asleep'],
    );
    await vms.terminate(vm);
    assert.deepEqual(await readdir(`${directory}/microvms`), []);

    const copies = new CounterVms(server, String(prepared.imageArn));
    const copy = await copies.run({ idlePolicy });
    const copied = await copies.count(copy);
    continues(third, copied);
    assert.notEqual(copied.hostname, third.hostname);
    await copies.suspend(copy);
    continues(copied, await copies.count(copy));
    await copies.terminate(copy);
  });
});
