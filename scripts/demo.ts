/**
 * The main job from end to end, with nothing but what a user has: a Dockerfile becomes a microVM with an HTTPS
 * endpoint that sleeps, wakes and goes on where it was. Each claim is checked; the first that fails ends it.
 */
import { mkdir, mkdtemp, readdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isRunning, mountsIn, processesIn, removeEverything } from './support/leftovers.ts';
import { type LaunchedMicrovm, MicrovmClient } from './support/microvm-client.ts';
import { ServerProcess } from './support/server-process.ts';
import { Steps } from './support/steps.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const image = 'counter';
const idleSeconds = 2;

/** What examples/counter answers to `GET /`. */
interface Counter {
  readonly memory: number;
  readonly disk: number;
  readonly pid: number;
  readonly instance: string;
  readonly openFileOffset: number;
}

interface Details {
  readonly vmmPid: number | null;
  readonly diskBytes: number;
  readonly residentBytes: number | null;
}

function claim(holds: boolean, what: string): void {
  if (!holds) throw new Error(`not as it should be: ${what}`);
}

/** Memory, disk, process and open file of `after` go on from `before` by one request. */
function claimContinues(before: Counter, after: Counter): void {
  claim(
    after.memory === before.memory + 1,
    `the counter in memory went from ${before.memory} to ${after.memory}`,
  );
  claim(after.disk === before.disk + 1, `the counter on disk went from ${before.disk} to ${after.disk}`);
  claim(after.pid === before.pid && after.instance === before.instance, 'it is another process');
  claim(after.openFileOffset > before.openFileOffset, 'the open file does not go on');
}

async function demo(
  steps: Steps,
  data: string,
  temporary: string,
  signal: AbortSignal,
): Promise<ServerProcess> {
  const server = await steps.do('start the server', async () => {
    const started = await ServerProcess.start(
      { dataDirectory: data, environment: { TMPDIR: temporary } },
      signal,
    );
    return [started, `${started.ready.vmm} on ${started.ready.accelerator}`];
  });
  steps.accelerator = `${server.ready.vmm}/${server.ready.accelerator}`;
  const inspect = async (microvm: LaunchedMicrovm): Promise<Details> =>
    (await server.command(['inspect', microvm.microvmId], { signal })) as Details;

  await steps.do('build the image from its Dockerfile', async () => {
    const hooks = ['ready=120', 'run=10', 'suspend=10', 'resume=10'].flatMap((hook) => ['--hook', hook]);
    const built = (await server.command(
      ['build', path.join(root, 'examples', 'counter'), '--name', image, '--memory', '256', ...hooks],
      { signal, onLine: (line) => steps.detail(line) },
    )) as { imageVersion: string; state: string };
    return [built, `${image} ${built.imageVersion} ${built.state}`];
  });

  const client = await MicrovmClient.open(server.ready);
  try {
    const microvm = await steps.do('launch a microVM', async () => {
      const launched = await client.run(
        `arn:aws:lambda:${server.ready.region}:${server.ready.accountId}:microvm-image:${image}`,
        {
          maxIdleDurationSeconds: idleSeconds,
          suspendedDurationSeconds: 3600,
          autoResumeEnabled: true,
        },
      );
      await client.until(launched.microvmId, 'RUNNING', signal);
      return [launched, 'RUNNING'];
    });
    const token = await client.token(microvm.microvmId);
    const count = async (): Promise<Counter> =>
      (await client.getJson(microvm, token, '/', signal)) as Counter;

    const first = await steps.do('first HTTPS request', async () => {
      const answer = await count();
      return [answer, `memory ${answer.memory}, disk ${answer.disk}, pid ${answer.pid}`];
    });
    const counted = await steps.do('the count goes up', async () => {
      const [second, third] = [await count(), await count()];
      claimContinues(first, second);
      claimContinues(second, third);
      return [third, `memory ${third.memory}, disk ${third.disk}`];
    });
    await steps.do('WebSocket echo', async () => {
      const echoed = await client.echo(microvm, token, 'are you there?');
      claim(echoed === 'are you there?', `the echo was ${echoed}`);
      return [echoed, 'echoed'];
    });

    // What does not count keeps it awake until it has been looked at.
    let awake = await inspect(microvm);
    while (awake.vmmPid === null) {
      await client.get(microvm, token, '/healthz', signal);
      awake = await inspect(microvm);
    }
    await steps.do(`idle for ${idleSeconds} s: it falls asleep`, async () => {
      await client.until(microvm.microvmId, 'SUSPENDED', signal);
      return [undefined, 'SUSPENDED'];
    });
    await steps.do('asleep it costs disk only', async () => {
      const asleep = await inspect(microvm);
      claim(asleep.vmmPid === null, 'it still has a VMM process');
      claim(awake.vmmPid === null || !(await isRunning(awake.vmmPid)), 'its VMM process still runs');
      const size = (asleep.diskBytes / 1e6).toFixed(1);
      return [asleep, `VMM process ${awake.vmmPid} is gone, ${size} MB on disk`];
    });

    const woken = await steps.do('a request wakes it', async () => {
      const answer = await count();
      claimContinues(counted, answer);
      return [answer, `memory ${answer.memory}, disk ${answer.disk}, pid ${answer.pid}`];
    });
    await steps.do('SuspendMicrovm', async () => {
      await client.suspend(microvm.microvmId);
      await client.until(microvm.microvmId, 'SUSPENDED', signal);
      return [undefined, 'SUSPENDED'];
    });
    await steps.do('ResumeMicrovm', async () => {
      await client.resume(microvm.microvmId);
      await client.until(microvm.microvmId, 'RUNNING', signal);
      return [undefined, 'RUNNING'];
    });
    await steps.do('everything goes on', async () => {
      const answer = await count();
      claimContinues(woken, answer);
      const calls = (await client.getJson(microvm, token, '/hooks', signal)) as readonly { hook: string }[];
      const hooks = calls.map(({ hook }) => hook).join(' ');
      claim(hooks.startsWith('ready run suspend resume suspend resume'), `the hooks called were: ${hooks}`);
      return [answer, `memory ${answer.memory}; hooks: ${hooks}`];
    });
    await steps.do('terminate', async () => {
      await client.terminate(microvm.microvmId);
      await client.until(microvm.microvmId, 'TERMINATED', signal);
      return [undefined, 'TERMINATED'];
    });
  } finally {
    client.close();
  }
  return server;
}

async function claimNothingIsLeft(data: string, temporary: string): Promise<void> {
  const processes = await processesIn(data);
  claim(processes.length === 0, `processes are left: ${processes.join(', ')}`);
  const mounts = await mountsIn(data);
  claim(mounts.length === 0, `mounts are left: ${mounts.join(', ')}`);
  const files = await readdir(temporary);
  claim(files.length === 0, `temporary files are left: ${files.join(', ')}`);
}

async function main(): Promise<number> {
  const steps = new Steps(process.argv.includes('--json'));
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interruption.abort());
  await mkdir(path.join(root, 'build'), { recursive: true });
  const scratch = await mkdtemp(path.join(root, 'build', 'demo-'));
  const [data, temporary] = [path.join(scratch, 'data'), path.join(scratch, 'tmp')];
  await mkdir(temporary);
  try {
    const server = await demo(steps, data, temporary, interruption.signal);
    await steps.do('stop the server: nothing is left', async () => {
      await server.stop();
      await claimNothingIsLeft(data, temporary);
      return [undefined, 'no process, no mount, no temporary file'];
    });
    steps.end();
    return 0;
  } catch (error) {
    if (interruption.signal.aborted) {
      console.error('\ninterrupted');
      return 130;
    }
    steps.fail(error);
    return 1;
  } finally {
    await removeEverything(scratch);
  }
}

process.exitCode = await main();
