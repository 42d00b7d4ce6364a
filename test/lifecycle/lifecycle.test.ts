import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { LookupFunction } from 'node:net';
import { after, before, describe, test } from 'node:test';
import {
  GetMicrovmCommand,
  GetMicrovmImageVersionCommand,
  ListMicrovmsCommand,
  ResumeMicrovmCommand,
  SuspendMicrovmCommand,
  TerminateMicrovmCommand,
} from '@aws-sdk/client-lambda-microvms';
import { WebSocket } from 'ws';
import { builtImage, counterContext, createImage, zip } from '../support/counter-image.ts';
import { type Counter, CounterVms, continues } from '../support/counter-vms.ts';
import {
  DormouseServer,
  processesUsing,
  removeDataDirectory,
  temporaryDirectory,
} from '../support/dormouse-server.ts';
import { callEndpoint } from '../support/endpoint-client.ts';

/** Endpoint names belong to this machine; not every resolver knows that of `*.localhost`. */
const toLoopback: LookupFunction = (_host, options, done) => {
  const address = { address: '127.0.0.1', family: 4 };
  if (options.all === true) done(null, [address]);
  else done(null, address.address, address.family);
};

describe('the life of a microVM, over the official SDK', { timeout: 900_000 }, () => {
  let directory: string;
  let server: DormouseServer;
  let imageArn: string;
  let vms: CounterVms;

  before(async () => {
    directory = await temporaryDirectory();
    server = await DormouseServer.start(directory);
    imageArn = await createImage(server, 'counter', await zip(await counterContext()), {
      hooks: {
        port: 9000,
        microvmImageHooks: {
          ready: 'ENABLED',
          readyTimeoutInSeconds: 120,
          validate: 'ENABLED',
          validateTimeoutInSeconds: 60,
        },
        microvmHooks: {
          run: 'ENABLED',
          runTimeoutInSeconds: 30,
          suspend: 'ENABLED',
          suspendTimeoutInSeconds: 30,
          resume: 'ENABLED',
          resumeTimeoutInSeconds: 30,
          terminate: 'ENABLED',
          terminateTimeoutInSeconds: 30,
        },
      },
    });
    assert.deepEqual(await builtImage(server, imageArn), { state: 'CREATED', reason: '' });
    vms = new CounterVms(server, imageArn);
  });

  after(async () => {
    await server.stop();
    await removeDataDirectory(directory);
  });

  test('the version is SUCCESSFUL and ACTIVE', async () => {
    const version = await server.client.send(
      new GetMicrovmImageVersionCommand({ imageIdentifier: imageArn, imageVersion: '1.0' }),
    );
    assert.deepEqual([version.state, version.status], ['SUCCESSFUL', 'ACTIVE']);
  });

  test('run, serve, suspend, resume, terminate: everything continues', async () => {
    const vm = await vms.run({ runHookPayload: 'hello' });
    assert.equal(vm.state, 'PENDING');
    const first = await vms.count(vm);
    const second = await vms.count(vm);
    continues(first, second);

    await server.client.send(new SuspendMicrovmCommand({ microvmIdentifier: vm.microvmId }));
    await vms.reaches(vm, 'SUSPENDED');
    assert.deepEqual(await processesUsing(`${directory}/microvms/${vm.microvmId}`), [], 'no VMM is left');
    await server.client.send(new SuspendMicrovmCommand({ microvmIdentifier: vm.microvmId }));

    await server.client.send(new ResumeMicrovmCommand({ microvmIdentifier: vm.microvmId }));
    assert.equal(await vms.state(vm), 'RUNNING');
    await server.client.send(new ResumeMicrovmCommand({ microvmIdentifier: vm.microvmId }));
    continues(second, await vms.count(vm));

    const hooks = await callEndpoint(server.ready, vm.endpoint ?? '', {
      token: await vms.tokenFor(vm.microvmId ?? ''),
      path: '/hooks',
    });
    assert.match(hooks.body, /hello/);

    await vms.terminate(vm);
    const gone = await server.client.send(new GetMicrovmCommand({ microvmIdentifier: vm.microvmId }));
    assert.equal(gone.stateReason, 'Success.');
    await server.client.send(new TerminateMicrovmCommand({ microvmIdentifier: vm.microvmId }));
    await assert.rejects(server.client.send(new SuspendMicrovmCommand({ microvmIdentifier: vm.microvmId })), {
      name: 'ValidationException',
      message: /has been terminated and its state cannot be changed/,
    });
  });

  test('an idle VM falls asleep and many requests at once wake it once', async () => {
    const vm = await vms.run({
      idlePolicy: { maxIdleDurationSeconds: 2, suspendedDurationSeconds: 600, autoResumeEnabled: true },
    });
    const before = await vms.count(vm);
    await vms.reaches(vm, 'SUSPENDED');
    const token = await vms.tokenFor(vm.microvmId ?? '');
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => callEndpoint(server.ready, vm.endpoint ?? '', { token })),
    );
    assert.deepEqual(
      answers.map((answer) => answer.status),
      [200, 200, 200, 200, 200],
    );
    const counts = answers.map((answer) => (JSON.parse(answer.body) as Counter).memory).sort((a, b) => a - b);
    assert.deepEqual(
      counts,
      [1, 2, 3, 4, 5].map((more) => before.memory + more),
    );
    await vms.terminate(vm);
  });

  test('without auto-resume a request to a sleeping VM is refused and changes nothing', async () => {
    const vm = await vms.run({
      idlePolicy: { maxIdleDurationSeconds: 600, suspendedDurationSeconds: 600, autoResumeEnabled: false },
    });
    await vms.reaches(vm, 'RUNNING');
    await server.client.send(new SuspendMicrovmCommand({ microvmIdentifier: vm.microvmId }));
    await vms.reaches(vm, 'SUSPENDED');
    const answer = await callEndpoint(server.ready, vm.endpoint ?? '', {
      token: await vms.tokenFor(vm.microvmId ?? ''),
    });
    assert.deepEqual([answer.status, answer.headers['x-aws-proxy-error']], [502, 'MICROVM_SUSPENDED']);
    assert.equal(await vms.state(vm), 'SUSPENDED');
    await vms.terminate(vm);
  });

  test('two VMs of one image are strangers to each other', async () => {
    const [a, b] = await Promise.all([vms.run(), vms.run()]);
    assert.ok(a && b);
    const [first, second] = [await vms.count(a), await vms.count(b)];
    assert.equal(first.memory, second.memory, 'both continue from the snapshot');
    continues(first, await vms.count(a));
    const token = await vms.tokenFor(a.microvmId ?? '');
    const wrong = await callEndpoint(server.ready, b.endpoint ?? '', { token });
    assert.deepEqual([wrong.status, wrong.body], [403, 'Token authentication failed']);
    await Promise.all([vms.terminate(a), vms.terminate(b)]);
  });

  test('the endpoint refuses what the service refuses', async () => {
    const vm = await vms.run();
    await vms.reaches(vm, 'RUNNING');
    const endpoint = vm.endpoint ?? '';
    const token = await vms.tokenFor(vm.microvmId ?? '', [8080, 7777]);
    const none = await callEndpoint(server.ready, endpoint, {});
    assert.deepEqual([none.status, none.body], [403, 'Request missing authentication']);
    const port = await callEndpoint(server.ready, endpoint, { token, port: 9000 });
    assert.deepEqual([port.status, port.body], [403, 'Access to port denied']);
    const silent = await callEndpoint(server.ready, endpoint, { token, port: 7777 });
    assert.deepEqual([silent.status, silent.headers['x-aws-proxy-error']], [502, 'APP_CONNECT_FAILED']);
    await vms.terminate(vm);
    const dead = await callEndpoint(server.ready, endpoint, { token });
    assert.deepEqual([dead.status, dead.headers['x-aws-proxy-error']], [502, 'MICROVM_CONNECT_FAILED']);
  });

  test('a WebSocket is carried both ways', async () => {
    const vm = await vms.run();
    const [host, port] = (vm.endpoint ?? '').split(':');
    const socket = new WebSocket(`wss://${host}:${port}/ws`, {
      lookup: toLoopback,
      ca: await readFile(server.ready.caCertificatePath),
      headers: { 'x-aws-proxy-auth': await vms.tokenFor(vm.microvmId ?? '') },
    });
    await once(socket, 'open');
    socket.send('are you there?');
    const [data] = (await once(socket, 'message')) as [Buffer];
    assert.equal(data.toString(), 'are you there?');
    socket.close();
    await vms.terminate(vm);
  });

  test('the lifetime ends a VM, running or asleep', async () => {
    const vm = await vms.run({ maximumDurationInSeconds: 5 });
    await vms.reaches(vm, 'RUNNING');
    await server.client.send(new SuspendMicrovmCommand({ microvmIdentifier: vm.microvmId }));
    await vms.reaches(vm, 'TERMINATED');
    const gone = await server.client.send(new GetMicrovmCommand({ microvmIdentifier: vm.microvmId }));
    assert.equal(gone.stateReason, 'MicroVM exceeded maximum lifetime.');
  });

  test('a client token makes RunMicrovm idempotent', async () => {
    const clientToken = 'once';
    const [a, b] = await Promise.all([vms.run({ clientToken }), vms.run({ clientToken })]);
    assert.equal(a?.microvmId, b?.microvmId);
    await assert.rejects(vms.run({ clientToken, maximumDurationInSeconds: 99 }), {
      name: 'ConflictException',
    });
    if (a !== undefined) await vms.terminate(a);
  });

  test('a killed server finds its VMs again: running ones answer, sleeping ones wake', async () => {
    const idlePolicy = {
      maxIdleDurationSeconds: 600,
      suspendedDurationSeconds: 600,
      autoResumeEnabled: true,
    };
    const [awake, asleep] = await Promise.all([vms.run({ idlePolicy }), vms.run({ idlePolicy })]);
    assert.ok(awake && asleep);
    const [before, beforeSleep] = [await vms.count(awake), await vms.count(asleep)];
    await server.client.send(new SuspendMicrovmCommand({ microvmIdentifier: asleep.microvmId }));
    await vms.reaches(asleep, 'SUSPENDED');

    await server.kill();
    server = await DormouseServer.start(directory, [
      '--port',
      new URL(server.ready.apiEndpoint).port,
      '--endpoint-port',
      String(server.ready.endpointPort),
    ]);
    vms.server = server;

    assert.deepEqual([await vms.state(awake), await vms.state(asleep)], ['RUNNING', 'SUSPENDED']);
    continues(before, await vms.count(awake));
    continues(beforeSleep, await vms.count(asleep));
    await Promise.all([vms.terminate(awake), vms.terminate(asleep)]);
  });

  test('a server killed in the middle of launch and suspend ends up with the truth', async () => {
    const idlePolicy = {
      maxIdleDurationSeconds: 600,
      suspendedDurationSeconds: 600,
      autoResumeEnabled: true,
    };
    const suspending = await vms.run({ idlePolicy });
    const before = await vms.count(suspending);
    const [launching] = await Promise.all([
      vms.run({ idlePolicy }),
      server.client.send(new SuspendMicrovmCommand({ microvmIdentifier: suspending.microvmId })),
    ]);
    await server.kill();
    server = await DormouseServer.start(directory, [
      '--port',
      new URL(server.ready.apiEndpoint).port,
      '--endpoint-port',
      String(server.ready.endpointPort),
    ]);
    vms.server = server;
    continues(before, await vms.count(suspending));
    assert.equal((await vms.count(launching)).memory, before.memory);
    await Promise.all([vms.terminate(suspending), vms.terminate(launching)]);
  });

  test('a VM whose VMM dies is reported dead, not pretended alive', async () => {
    const vm = await vms.run();
    await vms.reaches(vm, 'RUNNING');
    for (const pid of await processesUsing(`${directory}/microvms/${vm.microvmId}`))
      process.kill(pid, 'SIGKILL');
    await vms.reaches(vm, 'TERMINATED');
  });

  test('nothing is left behind: no process, no file of a terminated VM', async () => {
    const page = await server.client.send(new ListMicrovmsCommand({}));
    assert.ok(page.items?.every((item) => item.state === 'TERMINATED'));
    assert.deepEqual(await processesUsing(`${directory}/microvms/`), []);
  });
});
