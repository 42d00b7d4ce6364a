import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { RunMicrovmCommandOutput } from '@aws-sdk/client-lambda-microvms';
import { builtImage, createImage, zip } from '../support/counter-image.ts';
import { CounterVms } from '../support/counter-vms.ts';
import { DormouseServer, removeDataDirectory, temporaryDirectory } from '../support/dormouse-server.ts';
import { callEndpoint } from '../support/endpoint-client.ts';
import { signedSuccess } from '../support/signed-request.ts';
import { type Draw, type Identity, witnessProgram } from '../support/witness-guest.ts';

/** Forks in all, of which the environment may ask for more, and how many of them live at once. */
const forks = Number(process.env.DORMOUSE_TEST_FORKS ?? 30);
const atOnce = 5;

const idlePolicy = { maxIdleDurationSeconds: 3600, suspendedDurationSeconds: 3600, autoResumeEnabled: true };
const dockerfile = `FROM dormouse/python:3.11
RUN echo uninitialized > /etc/machine-id && mkdir -p /var/lib/dbus && echo 0123456789abcdef0123456789abcdef > /var/lib/dbus/machine-id
COPY app.py /app.py
CMD ["python3", "/app.py"]
`;

describe('who a microVM is', { timeout: 900_000 }, () => {
  let directory: string;
  let server: DormouseServer;
  let vms: CounterVms;
  let parent: RunMicrovmCommandOutput;

  before(async () => {
    directory = await temporaryDirectory();
    server = await DormouseServer.start(directory);
    const context = { Dockerfile: dockerfile, 'app.py': witnessProgram };
    const imageArn = await createImage(server, 'witness', await zip(context), {
      hooks: {
        port: 9000,
        microvmImageHooks: { ready: 'ENABLED' },
        microvmHooks: { run: 'ENABLED', runTimeoutInSeconds: 60 },
      },
    });
    assert.deepEqual(await builtImage(server, imageArn), { state: 'CREATED', reason: '' });
    vms = new CounterVms(server, imageArn);
    parent = await vms.run({ idlePolicy });
  });

  after(async () => {
    await server?.stop();
    await removeDataDirectory(directory);
  });

  async function ask<Answer>(vm: RunMicrovmCommandOutput, path: string): Promise<Answer> {
    const token = await vms.tokenFor(vm.microvmId ?? '');
    const answer = await callEndpoint(server.ready, vm.endpoint ?? '', { token, path });
    assert.equal(answer.status, 200, answer.body);
    return JSON.parse(answer.body) as Answer;
  }

  const who = (vm: RunMicrovmCommandOutput): Promise<Identity> => ask(vm, '/who');

  async function fork(count: number): Promise<readonly RunMicrovmCommandOutput[]> {
    const path = `/dormouse/v1/microvms/${parent.microvmId}/fork`;
    return (await signedSuccess(server.ready, 'POST', path, { count })).items as RunMicrovmCommandOutput[];
  }

  test('host name, boot id and machine id are its own from launch on', async () => {
    const [own, sibling] = [await who(parent), await who(await vms.run())];
    for (const identity of [own, sibling]) {
      assert.match(identity.bootId, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      assert.match(identity.machineId, /^[0-9a-f]{32}$/);
      assert.equal(identity.busMachineId, identity.machineId);
      assert.equal(identity.hostnameFile, identity.hostname);
      assert.equal(identity.ownAddress, '127.0.0.1');
    }
    assert.equal(own.hostname, parent.microvmId);
    assert.notEqual(own.hostname, sibling.hostname);
    assert.notEqual(own.bootId, sibling.bootId);
    assert.notEqual(own.machineId, sibling.machineId);
    assertDistinct([own.atRun, own.now, sibling.atRun, sibling.now]);
  });

  test('sleep changes nothing of that but what it draws', async () => {
    const before = await who(parent);
    await vms.suspend(parent);
    const woken = await who(parent);
    assert.deepEqual({ ...woken, now: before.now }, before);
    assertDistinct([before.now, woken.now]);
  });

  test('siblings and forks never draw the same, not even while they are being made', async () => {
    await ask(parent, '/draw');
    const children = await fork(3);
    const logs = await Promise.all(
      [parent, ...children].map(async (vm) =>
        Buffer.from((await ask<{ log: string }>(vm, '/drawn')).log, 'hex'),
      ),
    );
    await Promise.all(children.map((child) => vms.terminate(child)));
    const shared = logs.flatMap((a, index) => logs.slice(index + 1).map((b) => commonBytes(a, b)));
    assert.ok(Math.min(...shared) > 0, 'they have a past in common');
    // The past ends at the same byte for all. Two that share more have drawn the same since.
    assert.deepEqual(new Set(shared), new Set([shared[0]]), `shared bytes: ${shared.join(', ')}`);
  });

  test(`${forks} forks have nothing in common: ids, names, or anything they draw`, async (t) => {
    const known: Identity[] = [];
    for (let made = 0; made < forks; made += atOnce) {
      const children = await fork(atOnce);
      known.push(...(await Promise.all(children.map(who))));
      await Promise.all(children.map((child) => vms.terminate(child)));
    }
    assert.equal(known.length, forks);
    for (const member of ['hostname', 'bootId', 'machineId'] as const) {
      assert.equal(new Set(known.map((identity) => identity[member])).size, forks, member);
    }
    assertDistinct(known.flatMap(({ atRun, now }) => [atRun, now]));
    t.diagnostic(`${forks} forks, ${8 * forks} draws`);
  });
});

/** No two of all that was drawn are the same, wherever it came from. */
function assertDistinct(draws: readonly Draw[]): void {
  const values = draws.flatMap((draw) => Object.values(draw));
  assert.equal(new Set(values).size, values.length);
}

function commonBytes(a: Buffer, b: Buffer): number {
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at < length && a[at] === b[at]) at += 1;
  return at - (at % 8);
}
