import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { after, before, describe, test } from 'node:test';
import {
  ResumeMicrovmCommand,
  type RunMicrovmCommandInput,
  type RunMicrovmCommandOutput,
  SuspendMicrovmCommand,
  TerminateMicrovmCommand,
} from '@aws-sdk/client-lambda-microvms';
import { builtImage, createImage, zip } from '../support/counter-image.ts';
import { CounterVms } from '../support/counter-vms.ts';
import { DormouseServer, removeDataDirectory, temporaryDirectory } from '../support/dormouse-server.ts';
import { callEndpoint } from '../support/endpoint-client.ts';
import { HookDesk } from '../support/hook-desk.ts';
import { hookProgram } from '../support/hook-guest.ts';
import { signedSuccess } from '../support/signed-request.ts';
import { until } from '../support/until.ts';

const host = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find((entry) => entry.family === 'IPv4' && !entry.internal)?.address;
const timeout = 60;
const idlePolicy = { maxIdleDurationSeconds: 3600, suspendedDurationSeconds: 3600, autoResumeEnabled: true };

describe('hooks, as an application gets them', { timeout: 900_000 }, () => {
  let directory: string;
  let server: DormouseServer;
  let desk: HookDesk;
  let vms: CounterVms;
  let flags: readonly string[];

  before(async () => {
    assert.ok(host, 'this machine has no network interface');
    directory = await temporaryDirectory();
    desk = await HookDesk.open(host);
    flags = ['--egress-allow', `${host}/32`];
    server = await DormouseServer.start(directory, flags);
    desk.plan('ready', 503, 503, 200);
    desk.plan('validate', 503, 200);
    const context = {
      Dockerfile: 'FROM dormouse/python:3.11\nCOPY app.py /app.py\nCMD ["python3", "/app.py"]\n',
      'app.py': hookProgram,
    };
    const imageArn = await createImage(server, 'hooks', await zip(context), {
      environmentVariables: { DESK: desk.address },
      hooks: {
        port: 9000,
        microvmImageHooks: {
          ready: 'ENABLED',
          readyTimeoutInSeconds: 240,
          validate: 'ENABLED',
          validateTimeoutInSeconds: 240,
        },
        microvmHooks: {
          run: 'ENABLED',
          runTimeoutInSeconds: timeout,
          suspend: 'ENABLED',
          suspendTimeoutInSeconds: timeout,
          resume: 'ENABLED',
          resumeTimeoutInSeconds: timeout,
          terminate: 'ENABLED',
          terminateTimeoutInSeconds: timeout,
        },
      },
    });
    assert.deepEqual(await builtImage(server, imageArn), { state: 'CREATED', reason: '' });
    vms = new CounterVms(server, imageArn);
  });

  after(async () => {
    await server?.stop();
    desk?.close();
    await removeDataDirectory(directory);
  });

  const run = (members: Partial<RunMicrovmCommandInput> = {}): Promise<RunMicrovmCommandOutput> =>
    vms.run({ idlePolicy, ...members });

  async function get(vm: RunMicrovmCommandOutput, path = '/'): Promise<unknown> {
    const { endpoint } = await vms.describe(vm);
    const token = await vms.tokenFor(vm.microvmId ?? '');
    const answer = await callEndpoint(server.ready, endpoint ?? '', { token, path });
    assert.equal(answer.status, 200, `${answer.headers['x-aws-proxy-error']} ${answer.body}`);
    return JSON.parse(answer.body);
  }

  async function suspend(vm: RunMicrovmCommandOutput): Promise<void> {
    await server.client.send(new SuspendMicrovmCommand({ microvmIdentifier: vm.microvmId }));
  }

  async function terminate(vm: RunMicrovmCommandOutput): Promise<void> {
    await server.client.send(new TerminateMicrovmCommand({ microvmIdentifier: vm.microvmId }));
  }

  async function killAndStartServer(): Promise<void> {
    await server.kill();
    server = await DormouseServer.start(directory, flags);
    vms.server = server;
  }

  test('of a build: ready until it is, then validate, with empty bodies', () => {
    for (const call of desk.calls) {
      assert.equal(call.line, `POST /aws/lambda-microvms/runtime/v1/${call.name} HTTP/1.1`);
      assert.equal(call.body, '');
      assert.equal(call.headers?.['content-length'], '0');
      assert.equal(call.from, '127.0.0.1');
    }
    assert.deepEqual(desk.takeNames(), ['ready', 'ready', 'ready', 'validate', 'validate']);
  });

  test('of a life: each before what it announces, and no traffic meanwhile', async () => {
    let held = desk.hold('run');
    const runHookPayload = '{"of": "the caller", "as": "it \\"is\\" ü"}';
    const vm = await run({ runHookPayload });
    let call = await held;
    assert.deepEqual(JSON.parse(call.body ?? ''), { microvmId: vm.microvmId, runHookPayload });
    assert.equal(call.headers?.['content-type'], 'application/json');
    assert.equal(call.headers?.host, 'localhost:9000');
    assert.equal(call.headers?.['user-agent'], undefined);
    let request = get(vm);
    assert.equal(await vms.state(vm), 'PENDING');
    assert.deepEqual(desk.takeNames(), ['run'], 'the request waits');
    call.answer(200);
    await request;
    assert.equal(await vms.state(vm), 'RUNNING');
    assert.deepEqual(desk.takeNames(), ['request']);

    held = desk.hold('suspend');
    await suspend(vm);
    call = await held;
    assert.deepEqual([call.body, await vms.state(vm)], ['', 'SUSPENDING']);
    request = get(vm);
    held = desk.hold('resume');
    call.answer(200);
    call = await held;
    assert.deepEqual([call.body, await vms.state(vm)], ['', 'SUSPENDED'], 'until /resume is answered');
    assert.deepEqual(desk.takeNames(), ['suspend', 'resume']);
    call.answer(200);
    await request;
    assert.deepEqual(desk.takeNames(), ['request']);

    held = desk.hold('terminate');
    await terminate(vm);
    call = await held;
    assert.deepEqual([call.body, await vms.state(vm)], ['', 'TERMINATING']);
    call.answer(500);
    await vms.reaches(vm, 'TERMINATED');
    assert.equal((await vms.describe(vm)).stateReason, 'Success.', 'what /terminate answers changes nothing');
    assert.deepEqual(desk.takeNames(), ['terminate']);
  });

  test('of a fork: /run with its own id, and nothing for the parent', async () => {
    const parent = await run();
    await get(parent);
    desk.takeNames();
    const held = desk.hold('run');
    const path = `/dormouse/v1/microvms/${parent.microvmId}/fork`;
    const { items } = await signedSuccess(server.ready, 'POST', path, {
      count: 1,
      runHookPayload: 'of a fork',
    });
    const [child] = items as RunMicrovmCommandOutput[];
    assert.ok(child);
    const call = await held;
    assert.deepEqual(JSON.parse(call.body ?? ''), {
      microvmId: child.microvmId,
      runHookPayload: 'of a fork',
    });
    call.answer(200);
    await get(child);
    assert.deepEqual(desk.takeNames(), ['run', 'request']);
    await Promise.all([parent, child].map((vm) => vms.terminate(vm)));
    desk.takeNames();
  });

  const advice = 'Please check your hook endpoint and application logs for more details.';
  for (const [hook, status, name] of [
    ['run', 503, 'Run'],
    ['suspend', 500, 'Suspend'],
    ['resume', 404, 'Resume'],
  ] as const) {
    test(`/${hook} that answers ${status} ends the microVM, without another try`, async () => {
      desk.plan(hook, status);
      const vm = await run();
      if (hook !== 'run') {
        await vms.reaches(vm, 'RUNNING');
        await suspend(vm);
      }
      if (hook === 'resume') {
        await vms.reaches(vm, 'SUSPENDED');
        const wake = server.client.send(new ResumeMicrovmCommand({ microvmIdentifier: vm.microvmId }));
        await assert.rejects(wake, { name: 'ValidationException' });
      }
      await ends(vm);
      const reason = `${name} lifecycle hook returned HTTP status ${status}. ${advice}`;
      assert.equal((await vms.describe(vm)).stateReason, reason);
      const until = ['run', 'suspend', 'resume'];
      assert.deepEqual(desk.takeNames(), until.slice(0, until.indexOf(hook) + 1));
    });
  }

  test('of a server that is killed meanwhile: the next one calls them again, and none is lost', async () => {
    let held = desk.hold('run');
    const vm = await run({ runHookPayload: 'kept' });
    const first = await held;
    held = desk.hold('run');
    await killAndStartServer();
    let call = await held;
    assert.equal(call.body, first.body);
    call.answer(200);
    await vms.reaches(vm, 'RUNNING');

    held = desk.hold('suspend');
    await suspend(vm);
    await held;
    held = desk.hold('suspend');
    await killAndStartServer();
    call = await held;
    assert.equal(await vms.state(vm), 'SUSPENDING');
    call.answer(200);
    await vms.reaches(vm, 'SUSPENDED');

    held = desk.hold('resume');
    get(vm).catch(() => undefined);
    await held;
    held = desk.hold('resume');
    // Its memory is nowhere but in its process by now: the next server finishes the wake before it serves.
    const started = killAndStartServer();
    (await held).answer(200);
    await started;
    assert.equal(await vms.state(vm), 'RUNNING');
    await get(vm);

    held = desk.hold('terminate');
    await terminate(vm);
    await held;
    held = desk.hold('terminate');
    await killAndStartServer();
    call = await held;
    assert.equal(await vms.state(vm), 'TERMINATING');
    call.answer(200);
    await vms.reaches(vm, 'TERMINATED');
    assert.equal((await vms.describe(vm)).stateReason, 'Success.');
    const twice = ['run', 'suspend', 'resume', 'terminate'].flatMap((name) => [name, name]);
    assert.deepEqual(
      desk.takeNames().filter((name) => name !== 'request'),
      twice,
    );
  });

  test('connections from before a snapshot, a fork or a sleep are reset, and do not hang', async () => {
    const outcomes = async (vm: RunMicrovmCommandOutput, path = '/held'): Promise<string[]> =>
      (await get(vm, path)) as string[];
    const outcome = async (vm: RunMicrovmCommandOutput, index: number): Promise<string | undefined> => {
      for (;;) {
        const found = (await outcomes(vm))[index];
        // Its reader is told before long; one that hangs for ever fails by the time limit.
        if (found !== 'open') return found;
      }
    };
    const reset = 'ConnectionResetError';
    const vm = await run();
    assert.equal(await outcome(vm, 0), reset, 'opened while the image was built');
    assert.deepEqual(await outcomes(vm, '/hold'), [reset, 'open']);
    const path = `/dormouse/v1/microvms/${vm.microvmId}/fork`;
    const [child] = (await signedSuccess(server.ready, 'POST', path, { count: 1 }))
      .items as RunMicrovmCommandOutput[];
    assert.ok(child);
    assert.equal(await outcome(child, 1), reset);
    assert.deepEqual(await outcomes(vm), [reset, 'open'], 'the parent goes on with its own');
    await suspend(vm);
    await vms.reaches(vm, 'SUSPENDED');
    assert.equal(await outcome(vm, 1), reset);
    await Promise.all([vm, child].map((one) => vms.terminate(one)));
    desk.takeNames();
  });

  /** It has failed, so that to be asked about it is no failure of the test. */
  async function ends(vm: RunMicrovmCommandOutput): Promise<void> {
    await until('it has ended', async () => (await vms.state(vm)) === 'TERMINATED');
  }
});
