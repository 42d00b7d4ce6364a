import assert from 'node:assert/strict';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { RunMicrovmCommandOutput } from '@aws-sdk/client-lambda-microvms';
import { dormouse, goingDormouse, type Outcome, program, run } from '../support/cli.ts';
import { builtImage, createImage, exampleContext, zip } from '../support/counter-image.ts';
import { CounterVms } from '../support/counter-vms.ts';
import { DormouseServer, removeDataDirectory, temporaryDirectory } from '../support/dormouse-server.ts';
import { absence } from '../support/programs.ts';
import { Terminal } from '../support/terminal.ts';

const idlePolicy = { maxIdleDurationSeconds: 600, suspendedDurationSeconds: 600, autoResumeEnabled: true };

/** Unmodified clients: `redis-cli` and `redis-benchmark`. */
const noRedisTools = await absence('redis-benchmark', 'redis-tools');

/** Speaks to Redis as `redis-cli` would, where there is none. */
async function redis(port: number, ...words: readonly string[]): Promise<string> {
  if (noRedisTools === false) {
    const { code, stdout, stderr } = await run('redis-cli', ['-p', String(port), ...words]);
    assert.equal(code, 0, stderr);
    return stdout.trim();
  }
  const socket = net.connect(port, '127.0.0.1');
  socket.write(`${words.join(' ')}\r\nQUIT\r\n`);
  const answer = Buffer.concat(await Array.fromAsync(socket as AsyncIterable<Buffer>)).toString();
  return answer.replace(/\+OK\r\n$/, '').replace(/^\$\d+\r\n|^\+|\r\n$/g, '');
}

describe('ways into a microVM beside HTTP', { timeout: 900_000 }, () => {
  let directory: string;
  let server: DormouseServer;
  let vms: CounterVms;
  let vm: RunMicrovmCommandOutput;

  const cli = async (...words: readonly string[]): Promise<Outcome> => {
    const outcome = await dormouse(server, words);
    assert.equal(outcome.code, 0, outcome.stderr);
    return outcome;
  };

  before(async () => {
    directory = await temporaryDirectory();
    server = await DormouseServer.start(directory);
    const imageArn = await createImage(server, 'redis', await zip(await exampleContext('redis')));
    assert.deepEqual(await builtImage(server, imageArn), { state: 'CREATED', reason: '' });
    vms = new CounterVms(server, imageArn);
    const { stdout } = await cli(
      'run',
      'redis',
      '--idle',
      '10m',
      '--suspended',
      '1h',
      '--shell',
      '--wait',
      '--json',
    );
    vm = JSON.parse(stdout) as RunMicrovmCommandOutput;
  });

  after(async () => {
    await server.stop();
    await removeDataDirectory(directory);
  });

  test('redis through a forwarded port, with a sleep in between', async () => {
    const forward = await goingDormouse(server, ['forward', vm.microvmId ?? '', '6379:0']);
    const port = Number(/^127\.0\.0\.1:(\d+) → /.exec(forward.firstLine)?.[1]);
    assert.equal(await redis(port, 'SET', 'greeting', 'hello'), 'OK');
    await vms.suspend(vm);
    assert.equal(await redis(port, 'GET', 'greeting'), 'hello');
    assert.equal(await vms.state(vm), 'RUNNING');
    assert.equal(await forward.interrupt(), 0);
  });

  test('redis-benchmark through both, the first of its connections waking it', {
    skip: noRedisTools,
  }, async (t) => {
    const id = vm.microvmId ?? '';
    const forward = await goingDormouse(server, ['forward', id, '6379:0']);
    const { stdout } = await cli('publish', id, '6379', '--json');
    const { hostPort } = JSON.parse(stdout) as { hostPort: number };
    const forwarded = Number(/^127\.0\.0\.1:(\d+) → /.exec(forward.firstLine)?.[1]);
    for (const [way, port] of [
      ['forwarded', forwarded],
      ['published', hostPort],
    ] as const) {
      await vms.suspend(vm);
      const words = ['-p', String(port), '-n', '2000', '-c', '20', '-t', 'set,get', '--csv'];
      const report = await run('redis-benchmark', words);
      assert.equal(report.code, 0, report.stderr);
      const rates = [...report.stdout.matchAll(/^"(SET|GET)","([\d.]+)"/gm)].map(
        ([, name, rate]) => `${name} ${rate}/s`,
      );
      assert.equal(rates.length, 2, report.stdout);
      t.diagnostic(`${way}, from asleep: ${rates.join(', ')}`);
      assert.equal(await vms.state(vm), 'RUNNING');
    }
    assert.equal(await forward.interrupt(), 0);
    await cli('unpublish', id, '6379');
  });

  test('redis through a published port: asleep, and over a restart of the server', async () => {
    const id = vm.microvmId ?? '';
    const { stdout } = await cli('publish', id, '6379', '--allow', '127.0.0.0/8', '--json');
    const { hostPort } = JSON.parse(stdout) as { hostPort: number };
    assert.equal(await redis(hostPort, 'SET', 'count', '41'), 'OK');
    await vms.suspend(vm);
    const answers = await Promise.all(Array.from({ length: 5 }, () => redis(hostPort, 'INCR', 'count')));
    assert.deepEqual(
      answers.map((answer) => Number(answer.replace(':', ''))).sort(),
      [42, 43, 44, 45, 46],
      'one wake served all',
    );
    await vms.suspend(vm);
    await server.kill();
    server = await DormouseServer.start(directory);
    vms.server = server;
    assert.equal(await redis(hostPort, 'GET', 'count'), '46');
    assert.match((await cli('publish', id)).stdout, new RegExp(`^${hostPort}/tcp +6379/tcp +127`, 'm'));
    await cli('unpublish', id, '6379');
    await assert.rejects(
      new Promise((_resolve, reject) => net.connect(hostPort, '127.0.0.1').once('error', reject)),
      { code: 'ECONNREFUSED' },
    );
  });

  test('a command has its own outputs, input and exit status', async () => {
    const id = vm.microvmId ?? '';
    const script = 'read line; echo "out $line"; echo err >&2; exit 7';
    await vms.suspend(vm);
    const outcome = await dormouse(server, ['exec', '-i', id, '--', 'sh', '-c', script], 'typed\n');
    assert.deepEqual(outcome, { code: 7, stdout: 'out typed\n', stderr: 'err\n' });
    const absent = await dormouse(server, ['exec', id, '--', 'no-such-command']);
    assert.equal(absent.code, 127);
    assert.match(absent.stderr, /no-such-command: ENOENT/);
  });

  test('a shell answers what is typed', async () => {
    const outcome = await dormouse(server, ['shell', vm.microvmId ?? ''], 'echo $((6 * 7)); exit\n');
    assert.equal(outcome.code, 0, outcome.stderr);
    assert.match(outcome.stdout, /^42\r?$/m);
  });

  test('a shell on a terminal: prompt, sizes, signals, and its end', async () => {
    const id = vm.microvmId ?? '';
    const commandLine = `${program} shell --data-dir ${directory} ${id}`;
    const terminal = await Terminal.start(commandLine, [100, 40], path.join(directory, 'tty'));
    await terminal.shows(/λ \$ /);
    terminal.type('echo "$TERM $(id -u) $(stty size)"\r');
    await terminal.shows(/xterm 100 40 100\n/);
    terminal.type('echo wait""ing; until stty size | grep -x "50 132"; do sleep 0.1; done\r');
    await terminal.shows(/waiting\n/);
    await terminal.resize(132, 50);
    await terminal.shows(/50 132\n[\s\S]*λ \$ /);
    terminal.type('sh -c "echo go\'\'ing; exec sleep 1000"\r');
    await terminal.shows(/going\n/);
    terminal.type('\x03');
    await terminal.shows(/λ \$ /);
    terminal.type('echo "status $?"\r');
    await terminal.shows(/status 130\n[\s\S]*λ \$ /);
    terminal.type('sh -c "echo go\'\'ing; exec sleep 2000"\r');
    await terminal.shows(/going\n/);
    terminal.type('\x1a');
    await terminal.shows(/Stopped[\s\S]*λ \$ /);
    terminal.type('disown -a; echo dis""owned\r');
    await terminal.shows(/disowned\n[\s\S]*λ \$ /);
    terminal.type('exit 3\r');
    assert.equal(await terminal.ends(), 0);

    // A terminal that does not know its size gets the usual one, and nothing is typed into it.
    const sizeless = await Terminal.start(commandLine, undefined, path.join(directory, 'tty'));
    await sizeless.shows(/λ \$ /);
    sizeless.type('stty size\r');
    await sizeless.shows(/^stty size\n[^\n]*24 80\n/);
    sizeless.type(
      `sh -c 'trap "echo hung up > /tmp/hup; exit" HUP; echo trap""ped; while :; do sleep 0.1; done'\r`,
    );
    await sizeless.shows(/trapped\n/);
    sizeless.kill();
    const script = 'until [ -s /tmp/hup ]; do sleep 0.1; done; cat /tmp/hup';
    assert.equal((await dormouse(server, ['exec', id, '--', 'sh', '-c', script])).stdout, 'hung up\n');
  });

  test('a lease keeps an idle microVM awake as long as it lasts, over a restart of the server', async () => {
    const idle = await vms.run({ idlePolicy: { ...idlePolicy, maxIdleDurationSeconds: 1 } });
    await cli('lease', idle.microvmId ?? '', '20s');
    const begun = Date.now();
    // It may have fallen asleep before there was a lease.
    await cli('resume', idle.microvmId ?? '');
    await server.kill();
    server = await DormouseServer.start(directory);
    vms.server = server;
    await vms.reaches(idle, 'SUSPENDED');
    assert.ok(Date.now() - begun > 18_000, `it fell asleep after ${Date.now() - begun} ms`);
    await vms.terminate(idle);
  });

  test('a silent command keeps a microVM awake where that is asked for', async () => {
    const words = ['run', 'redis', '--idle', '1s', '--suspended', '1h', '--shell', '--wait', '--json'];
    const { stdout } = await cli(...words, '--awake-on', 'exec,cpu=30%');
    const awake = JSON.parse(stdout) as RunMicrovmCommandOutput;
    const id = awake.microvmId ?? '';
    assert.equal(
      (await cli('activity', id, '--json')).stdout.replace(/\s/g, ''),
      '{"requests":false,"execSessions":true,"guestCpuPercent":30}',
    );
    // Asleep in the middle, it would be cut off.
    assert.equal((await cli('exec', id, '--', 'sh', '-c', 'sleep 5; echo done')).stdout, 'done\n');
    await vms.reaches(awake, 'SUSPENDED');
    await vms.terminate(awake);
  });

  test('use of its CPUs keeps a microVM awake where that is asked for, and no longer than it lasts', async () => {
    const words = ['run', 'redis', '--idle', '1s', '--suspended', '1h', '--shell', '--wait', '--json'];
    const busy = JSON.parse((await cli(...words, '--awake-on', 'cpu=20%')).stdout) as RunMicrovmCommandOutput;
    const loop = 'setsid timeout 8 sh -c "while :; do :; done" >/dev/null 2>&1 &';
    await cli('exec', busy.microvmId ?? '', '--', 'sh', '-c', loop);
    const begun = performance.now();
    await vms.reaches(busy, 'SUSPENDED');
    const awakeMs = performance.now() - begun;
    assert.ok(awakeMs > 6000, `it fell asleep after ${awakeMs} ms`);
    await vms.terminate(busy);
  });

  test('the end of a microVM closes its ports', async () => {
    const id = vm.microvmId ?? '';
    const { stdout } = await cli('publish', id, '6379', '--json');
    const { hostPort } = JSON.parse(stdout) as { hostPort: number };
    assert.equal(await redis(hostPort, 'PING'), 'PONG');
    await vms.terminate(vm);
    await assert.rejects(
      new Promise((_resolve, reject) => net.connect(hostPort, '127.0.0.1').once('error', reject)),
      { code: 'ECONNREFUSED' },
    );
    assert.deepEqual(JSON.parse((await cli('publish', id, '--json')).stdout), []);
  });
});
