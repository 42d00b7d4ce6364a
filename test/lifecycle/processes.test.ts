import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { managedConnectorArn } from '../../src/model/arn.ts';
import { dormouse } from '../support/cli.ts';
import { builtImage, createImage, zip } from '../support/counter-image.ts';
import { CounterVms } from '../support/counter-vms.ts';
import { DormouseServer, removeDataDirectory, temporaryDirectory } from '../support/dormouse-server.ts';

/** An application that neither reaps what it inherits nor does anything else. */
const dockerfile = `FROM dormouse/python:3.11
RUN useradd --uid 4321 --user-group --groups mail app && mkdir /opt/tools && chown app /srv \\
 && printf '#!/bin/sh\\necho tool $APP_MODE\\n' >/opt/tools/mytool && chmod 755 /opt/tools/mytool
ENV PATH=/opt/tools/bin:/opt/tools:$PATH APP_MODE=prod
WORKDIR /srv
USER app
LABEL dormouse.worker=true
CMD ["sleep", "infinity"]
`;

function shellOf({ ready }: DormouseServer): string {
  return `arn:aws:lambda:${ready.region}:aws:network-connector:aws-network-connector:SHELL_INGRESS`;
}

describe('commands beside an application', { timeout: 900_000 }, () => {
  let directory: string;
  let server: DormouseServer;
  let id: string;

  before(async () => {
    directory = await temporaryDirectory();
    server = await DormouseServer.start(directory);
    const imageArn = await createImage(server, 'toolbox', await zip({ Dockerfile: dockerfile }));
    assert.deepEqual(await builtImage(server, imageArn), { state: 'CREATED', reason: '' });
    const vms = new CounterVms(server, imageArn);
    const shell = managedConnectorArn(server.ready.region, 'SHELL_INGRESS');
    const vm = await vms.run({ ingressNetworkConnectors: [shell] });
    await vms.reaches(vm, 'RUNNING');
    id = vm.microvmId ?? '';
  });

  after(async () => {
    await server.stop();
    await removeDataDirectory(directory);
  });

  const exec = (...words: readonly string[]) => dormouse(server, ['exec', ...words]);

  test('they have the variables, the directory and the user of the image', async () => {
    const { stdout } = await exec(id, '--', 'sh', '-c', 'mytool; pwd; id -un; id -Gn; echo $HOME');
    assert.equal(stdout, 'tool prod\n/srv\napp\napp mail\n/home/app\n');
  });

  test('they have another user, directory and variables where that is asked for', async () => {
    const line = 'id -u; id -g; echo $HOME $APP_MODE; pwd';
    const root = await exec('-u', 'root', '-w', '/tmp', '-e', 'APP_MODE=test', id, '--', 'sh', '-c', line);
    assert.equal(root.stdout, '0\n0\n/root test\n/tmp\n');
    assert.equal((await exec('-u', '77:mail', id, '--', 'sh', '-c', 'id -u; id -gn')).stdout, '77\nmail\n');
    const nobody = await exec('-u', 'nosuchuser', id, '--', 'true');
    assert.deepEqual([nobody.code, /no user nosuchuser/.test(nobody.stderr)], [126, true]);
  });

  test('how they end is told as a shell tells it', async () => {
    assert.equal((await exec(id, '--', 'nosuch')).code, 127);
    assert.equal((await exec(id, '--', '/etc/passwd')).code, 126);
    assert.equal((await exec(id, '--', 'sh', '-c', 'kill -TERM $$')).code, 143);
    const typo = await exec('-w', '/typo', id, '--', 'pwd');
    assert.deepEqual([typo.code, /no directory \/typo/.test(typo.stderr)], [126, true]);
    assert.equal((await exec('-u', 'root', id, '--', 'ls', '-d', '/typo')).code, 2);
  });

  test('they take arguments and variables as large as Linux does', async () => {
    const word = 'x'.repeat(128 * 1024 - 1);
    assert.equal((await exec(id, '--', 'sh', '-c', 'printf %s "$1" | wc -c', 'sh', word)).stdout, '131071\n');
    const many = Array.from({ length: 140_000 }, () => 'a');
    const counted = await dormouse(server, ['exec', id, '--', 'sh', '-c', 'echo $#', 'sh', ...many]);
    assert.equal(counted.stdout, '140000\n');
    // Six bytes each on the way.
    const control = Array.from({ length: 10 }, () => '\u0001'.repeat(120_000));
    const tooMuch = await exec(id, '--', 'true', ...control);
    assert.deepEqual([tooMuch.code, /more than can be sent/.test(tooMuch.stderr)], [126, true]);
    const socket = `import os, sys; print(len(os.environ['BIG']))`;
    assert.equal(
      (await exec('-e', `BIG=${word.slice(8)}`, id, '--', 'python3', '-c', socket)).stdout,
      '131063\n',
    );
  });

  test('a terminal has a name', async () => {
    const { stdout } = await exec('-t', id, '--', 'sh', '-c', 'tty; test -w "$(tty)" && echo mine');
    assert.match(stdout, /^\/dev\/pts\/\d+\r?\nmine/);
  });

  test('what outlives its parent is reaped, however much of it there is', async () => {
    const orphans = 'i=0; while [ $i -lt 3000 ]; do (true &); i=$((i+1)); done; wait';
    assert.deepEqual(await exec(id, '--', 'sh', '-c', orphans).then(({ code }) => code), 0);
    const count = "cat /proc/[0-9]*/stat 2>/dev/null | awk '{ print $3 }' | grep -c Z || true";
    assert.equal((await exec(id, '--', 'sh', '-c', count)).stdout, '0\n');
  });

  test('shared memory may take half of the memory', async () => {
    const line =
      'df -k --output=size /dev/shm | tail -n 1; sed -n "s/MemTotal: *\\([0-9]*\\) kB/\\1/p" /proc/meminfo';
    const { stdout } = await exec(id, '--', 'sh', '-c', line);
    const [shared = 0, all = 0] = stdout.trim().split(/\s+/).map(Number);
    assert.ok(all > 100_000 && Math.abs(shared - all / 2) < all / 100, stdout);
  });

  test('a detached command goes on by itself', async () => {
    assert.equal((await exec('-d', id, '--', 'sh', '-c', 'sleep 1; echo done >/tmp/finished')).code, 0);
    const wait = 'until [ -e /tmp/finished ]; do sleep 0.1; done; cat /tmp/finished';
    assert.equal((await exec(id, '--', 'sh', '-c', wait)).stdout, 'done\n');
    assert.equal((await exec('-d', id, '--', 'nosuch')).code, 127);
    assert.equal((await exec('-d', id, '--', '/srv')).code, 126);
    assert.equal((await exec('-d', '-w', '/typo', id, '--', 'true')).code, 126);
  });

  test('standard input is passed on where that is asked for', async () => {
    const words = [id, '--', 'sh', '-c', 'cat; echo end'];
    assert.equal((await dormouse(server, ['exec', '-i', ...words], 'typed\n')).stdout, 'typed\nend\n');
    assert.equal((await dormouse(server, ['exec', ...words], 'typed\n')).stdout, 'end\n');
  });

  test('what cannot be done is said precisely', async () => {
    const failure = async (...words: readonly string[]) => (await exec(...words, id, '--', 'true')).stderr;
    assert.match(await failure('-w', 'tmp'), /workdir must be an absolute path/);
    assert.match(await failure('-u', ''), /user must not be empty/);
    assert.match(await failure('-u', 'app:nosuch'), /the image has no group nosuch/);
    const shell = await dormouse(server, ['shell', '-u', 'nosuch', id]);
    assert.deepEqual(
      [shell.code, /shell cannot be started: .* no user nosuch\./.test(shell.stderr)],
      [1, true],
    );
  });

  test('root is there without files that say so', async () => {
    const asRoot = (line: string) => exec('-u', '0', id, '--', 'sh', '-c', line);
    await asRoot('mkdir /srv/away && mv /etc/passwd /etc/group /srv/away');
    const { stdout } = await exec('-u', 'root:root', id, '--', 'sh', '-c', 'id -u; id -g');
    await asRoot('mv /srv/away/* /etc');
    assert.equal(stdout, '0\n0\n');
  });

  test('they have all rights where the application has them', async () => {
    const rights = 'grep ^Cap /proc/self/status';
    const powerful = `FROM dormouse/python:3.11
LABEL dormouse.worker=true
CMD ${rights} >/srv/rights; exec sleep infinity
`;
    const imageArn = await createImage(server, 'powerful', await zip({ Dockerfile: powerful }), {
      additionalOsCapabilities: ['ALL'],
    });
    assert.deepEqual(await builtImage(server, imageArn), { state: 'CREATED', reason: '' });
    const vms = new CounterVms(server, imageArn);
    const vm = await vms.run({ ingressNetworkConnectors: [shellOf(server)] });
    await vms.reaches(vm, 'RUNNING');
    const inside = (line: string) => exec(vm.microvmId ?? '', '--', 'sh', '-c', line);
    const { stdout: own } = await inside(rights);
    assert.equal((await inside('cat /srv/rights')).stdout, own);
    assert.equal((await exec(id, '--', 'sh', '-c', rights)).stdout === own, false);
    // Nothing but all of them, and a proof.
    const most = await inside('cat /proc/sys/kernel/cap_last_cap');
    const all = ((1n << (BigInt(most.stdout) + 1n)) - 1n).toString(16).padStart(16, '0');
    assert.match(own, new RegExp(`^CapEff:\\t${all}$`, 'm'));
    assert.equal((await inside('mkdir /mnt/x && mount -t tmpfs none /mnt/x')).code, 0);
  });

  test('a microVM of an image whose application has ended runs what it is told, and stays', async () => {
    const job = `FROM dormouse/python:3.11
RUN useradd --uid 4321 app
ENV MODE=job
LABEL dormouse.worker=true
USER app
CMD ["sh", "-c", "echo prepared >/tmp/state"]
`;
    const imageArn = await createImage(server, 'job', await zip({ Dockerfile: job }));
    assert.deepEqual(await builtImage(server, imageArn), { state: 'CREATED', reason: '' });
    const vms = new CounterVms(server, imageArn);
    const shell = managedConnectorArn(server.ready.region, 'SHELL_INGRESS');
    const vm = await vms.run({ ingressNetworkConnectors: [shell] });
    await vms.reaches(vm, 'RUNNING');
    const line = 'cat /tmp/state; id -u; echo $MODE; cat /proc/1/comm';
    const { stdout } = await exec(vm.microvmId ?? '', '--', 'sh', '-c', line);
    assert.equal(stdout, 'prepared\n4321\njob\ninit\n');
    assert.equal((await exec(vm.microvmId ?? '', '--', 'sh', '-c', 'exit 3')).code, 3);
    await vms.reaches(vm, 'RUNNING');
  });
});
