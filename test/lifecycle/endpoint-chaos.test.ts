import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type RunMicrovmCommandOutput, SuspendMicrovmCommand } from '@aws-sdk/client-lambda-microvms';
import { chaosContext, chaosPorts } from '../support/chaos-guest.ts';
import { type ChaosStream, type ChaosTarget, startStreams } from '../support/chaos-streams.ts';
import { dormouse, type Going, goingDormouse } from '../support/cli.ts';
import { builtImage, createImage, zip } from '../support/counter-image.ts';
import { CounterVms } from '../support/counter-vms.ts';
import {
  DormouseServer,
  processesUsing,
  removeDataDirectory,
  temporaryDirectory,
} from '../support/dormouse-server.ts';
import { callEndpoint } from '../support/endpoint-client.ts';

/** Far more than it takes, on any machine. */
const boundMs = 60_000;
const resumes = 'dormouse_microvm_transition_duration_seconds_count{transition="resume",outcome="success"}';

describe('the end of a microVM in the middle of every kind of stream', { timeout: 900_000 }, () => {
  let directory: string;
  let server: DormouseServer;
  let vms: CounterVms;
  let ca: string;

  before(async () => {
    directory = await temporaryDirectory();
    server = await DormouseServer.start(directory);
    ca = await readFile(server.ready.caCertificatePath, 'utf8');
    const imageArn = await createImage(server, 'chaos', await zip(chaosContext));
    assert.deepEqual(await builtImage(server, imageArn), { state: 'CREATED', reason: '' });
    vms = new CounterVms(server, imageArn);
  });

  after(async () => {
    await server.stop();
    await removeDataDirectory(directory);
  });

  async function launch(): Promise<{ vm: RunMicrovmCommandOutput; id: string; target: ChaosTarget }> {
    const { stdout, stderr } = await dormouse(server, [
      ...'run chaos --shell --idle 10m --wait --json'.split(' '),
    ]);
    const vm = JSON.parse(stdout || stderr) as RunMicrovmCommandOutput;
    const id = vm.microvmId ?? '';
    const published = await dormouse(server, ['publish', id, String(chaosPorts.tcp), '--json']);
    const { hostPort } = JSON.parse(published.stdout) as { hostPort: number };
    const target = {
      endpoint: vm.endpoint ?? '',
      token: await vms.tokenFor(id, Object.values(chaosPorts)),
      ca,
      caPath: server.ready.caCertificatePath,
      publishedPort: hostPort,
    };
    return { vm, id, target };
  }

  /** Starts everything, does what ends it, and holds how each ended. */
  async function during(id: string, target: ChaosTarget, action: () => Promise<unknown>): Promise<void> {
    const streams = await startStreams(target);
    const command = await goingDormouse(server, ['exec', id, '--', 'sh', '-c', 'echo begun; sleep 1000']);
    await action();
    for (const stream of [...streams, asStream(command)]) {
      const end = await Promise.race([stream.end, delay(boundMs, 'still open', { ref: false })]);
      assert.match(end, /^broken/, `${stream.name} ended as ${end}`);
    }
    assert.deepEqual(await gauges(), { connections: 0, waiting: 0 });
  }

  function asStream(command: Going): ChaosStream {
    return {
      name: 'a command',
      end: command.exited.then((code) => (code === 0 ? 'complete' : `broken: exit ${code}`)),
    };
  }

  /** A figure among the metrics. */
  async function figure(name: string): Promise<number> {
    const text = await (await fetch(new URL('/metrics', server.ready.apiEndpoint))).text();
    const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
    return Number(line?.slice(name.length));
  }

  /** What the endpoint still has of its clients, once what is under way has had its chance to end. */
  async function gauges(): Promise<{ connections: number; waiting: number }> {
    const deadline = performance.now() + boundMs;
    for (;;) {
      const connections = await figure('dormouse_endpoint_connections');
      const waiting = await figure('dormouse_endpoint_waiting');
      if ((connections === 0 && waiting === 0) || performance.now() > deadline)
        return { connections, waiting };
      await delay(100);
    }
  }

  async function count(target: ChaosTarget): Promise<number> {
    const answer = await callEndpoint(server.ready, target.endpoint, { token: target.token });
    assert.equal(answer.status, 200, String(answer.headers['x-aws-proxy-error']));
    return Number(answer.body);
  }

  async function isGone(target: ChaosTarget): Promise<void> {
    const answer = await callEndpoint(server.ready, target.endpoint, { token: target.token });
    assert.deepEqual([answer.status, answer.headers['x-aws-proxy-error']], [502, 'MICROVM_CONNECT_FAILED']);
  }

  test('its VMM killed: nothing looks complete, and the server goes on', async () => {
    const { vm, id, target } = await launch();
    await count(target);
    await during(id, target, async () => {
      for (const pid of await processesUsing(`${directory}/microvms/${id}`)) process.kill(pid, 'SIGKILL');
    });
    await isGone(target);
    assert.equal(await vms.state(vm), 'TERMINATED');
  });

  test('suspended, then terminated: nothing looks complete, nothing wakes it but a new request', async () => {
    const { vm, id, target } = await launch();
    const before = await count(target);
    await during(id, target, () => vms.suspend(vm));
    assert.equal(await vms.state(vm), 'SUSPENDED', 'what was under way has not woken it');
    assert.equal(await count(target), before + 1);
    assert.equal(await vms.state(vm), 'RUNNING');

    const wakes = await figure(resumes);
    await vms.suspend(vm);
    const answers = await Promise.all(Array.from({ length: 20 }, () => count(target)));
    assert.deepEqual(
      answers.toSorted((a, b) => a - b),
      Array.from({ length: 20 }, (_, index) => before + 2 + index),
      'each was served, and once',
    );
    assert.equal(await figure(resumes), wakes + 1, 'one wake served all');

    // Now those that come in the middle: a request under way may be repeated, but none is lost.
    const suspending = server.client.send(new SuspendMicrovmCommand({ microvmIdentifier: id }));
    const caught = await Promise.all(Array.from({ length: 20 }, () => count(target)));
    await suspending;
    assert.equal(new Set(caught).size, 20);
    await during(id, target, () => vms.terminate(vm));
    await isGone(target);
  });
});
