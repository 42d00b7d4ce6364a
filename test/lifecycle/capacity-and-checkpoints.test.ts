import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { builtImage, counterContext, createImage, zip } from '../support/counter-image.ts';
import { CounterVms, continues } from '../support/counter-vms.ts';
import { DormouseServer, removeDataDirectory, temporaryDirectory } from '../support/dormouse-server.ts';

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
});
