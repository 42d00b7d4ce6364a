import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import net, { type AddressInfo } from 'node:net';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { locateAssets } from '../../src/assets.ts';
import { type Cell, Confinement } from '../../src/vmm/qemu/confinement.ts';
import { temporaryDirectory } from '../support/dormouse-server.ts';

const run = promisify(execFile);
const source = fileURLToPath(new URL('../support/intruder.c', import.meta.url));
const mebibyte = 1024 ** 2;
const isRoot = process.getuid?.() === 0;

interface Attempt {
  readonly attempt: string;
  readonly done: boolean;
  readonly error: string;
}

/** What a VMM that has been taken over tries; each has to succeed where nothing confines it, but for {@link forbiddenToAll}. */
const attempts = [
  'read the disk of another VM',
  'list the directory of another VM',
  'connect to the control socket of another VM',
  'read the store',
  'read the password file',
  'write to the snapshot',
  'make the snapshot writable',
  'add to the snapshot',
  'add to its own directory',
  'change its process record',
  'write to a public directory',
  'connect to a port of the host',
  'connect to an abstract socket of the host',
  'signal the server',
  'signal another VM',
  'trace the server',
  'read the memory of another VM',
  'see other processes',
  "read the kernel's messages",
  'make a device',
  'mount',
  'make a user namespace',
  'clone into a user namespace',
  'become root',
  'change roots',
  'rename the host',
  'run another program',
  'leave its control group',
  'raise its limits',
  'use io_uring',
  'load a BPF map',
  "fill the host's disk",
  'start many processes',
] as const;

/** What some distributions and containers let nobody do, so that a failure proves nothing there. */
const forbiddenToAll: ReadonlySet<string> = new Set(['make a user namespace', 'clone into a user namespace']);

describe('what a VMM can do to the host', { timeout: 120_000, skip: !isRoot && 'needs root' }, () => {
  const victims: ChildProcess[] = [];
  const servers: net.Server[] = [];
  let directory: string;
  let intruder: string;
  let confinement: Confinement;
  let facts: readonly string[];
  const at = (...names: readonly string[]): string => path.join(directory, ...names);

  before(async () => {
    directory = await realpath(await temporaryDirectory());
    intruder = at('intruder');
    for (const name of ['own', 'other', 'snapshot']) await mkdir(at(name), { mode: 0o700 });
    await chmod(at('snapshot'), 0o711);
    for (const name of ['store', 'other/disk.qcow2']) await writeFile(at(name), 'secret', { mode: 0o600 });
    await writeFile(at('snapshot', 'memory'), 'shared', { mode: 0o444 });
    await run('cc', ['-O1', '-Wall', '-Wextra', '-Werror', '-static', '-o', intruder, source]);
    confinement = await Confinement.find({
      jail: locateAssets().vmmJail,
      binary: intruder,
      groupName: 'dormouse-confinement-test',
    });
    const [server, other] = await Promise.all([victim(), victim()]);
    const listen = async (on: net.ListenOptions): Promise<net.Server> => {
      const listener = net.createServer((socket) => socket.destroy()).listen(on);
      servers.push(listener);
      await once(listener, 'listening');
      return listener;
    };
    const abstract = `dormouse-confinement-${process.pid}`;
    const port = await listen({ port: 0, host: '127.0.0.1' });
    await listen({ path: `\0${abstract}` });
    await listen({ path: at('other', 'qmp') });
    facts = [
      `server=${server.pid}`,
      `other-pid=${other.pid}`,
      `other-address=${other.address}`,
      `other=${at('other')}`,
      `other-disk=${at('other', 'disk.qcow2')}`,
      `other-socket=${at('other', 'qmp')}`,
      `store=${at('store')}`,
      `snapshots=${at('snapshot')}`,
      `snapshot=${at('snapshot', 'memory')}`,
      `port=${(port.address() as AddressInfo).port}`,
      `abstract=${abstract}`,
      `group-root=${await controlGroupRoot()}`,
    ];
  });

  after(async () => {
    for (const process of victims) process.kill('SIGKILL');
    for (const server of servers) server.close();
    await rm(directory, { recursive: true, force: true });
  });

  async function victim(): Promise<{ readonly pid: number; readonly address: string }> {
    const child = spawn(intruder, ['wait'], { stdio: ['ignore', 'pipe', 'inherit'] });
    victims.push(child);
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    return { pid: child.pid ?? 0, address: line.toString().trim() };
  }

  const cell = (): Cell => ({
    directory: at('own'),
    readOnly: [at('snapshot')],
    own: ['disk.qcow2'],
    sockets: ['qmp', 'agent'],
    kvm: false,
    shape: { memoryMib: 16, vcpus: 1 },
    diskBytes: mebibyte,
  });

  /** Command and arguments, and what is done with the process before the program begins. */
  interface Start {
    readonly command: readonly [string, readonly string[]];
    readonly started?: (pid: number) => Promise<void>;
  }

  /** Runs the program in a fresh directory and collects what it managed. */
  async function intrude(
    args: readonly string[],
    how: (args: readonly string[]) => Promise<Start>,
  ): Promise<{ readonly results: ReadonlyMap<string, Attempt>; readonly signal: string | null }> {
    await rm(at('own'), { recursive: true });
    await mkdir(at('own'), { mode: 0o700 });
    await writeFile(at('own', 'process.json'), '{}', { mode: 0o600 });
    await writeFile(at('own', 'disk.qcow2'), Buffer.alloc(4096), { mode: 0o600 });
    const { command, started } = await how(args);
    const child = spawn(command[0], command[1], {
      cwd: at('own'),
      env: {},
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await started?.(child.pid ?? 0);
    child.stdin.end('\n');
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    const [, signal] = (await once(child, 'close')) as [number | null, string | null];
    const lines = output.split('\n').filter((line) => line !== '');
    const results = new Map(
      lines.map((line) => {
        const attempt = JSON.parse(line) as Attempt;
        return [attempt.attempt, attempt] as const;
      }),
    );
    await confinement.groups.remove(at('own'));
    return { results, signal };
  }
  const confined = async (args: readonly string[]): Promise<Start> => ({
    command: confinement.command(intruder, args, cell()),
    started: (pid) => confinement.enclose(pid, cell()),
  });
  const unconfined = async (args: readonly string[]): Promise<Start> => ({ command: [intruder, args] });

  it('fails at all of it, and succeeds at all of it when not confined', async (context) => {
    assert.equal(confinement.level, 'own-user', confinement.obstacle ?? '');
    const outside = await intrude(['attempts', ...facts], unconfined);
    const inside = await intrude(['attempts', ...facts], confined);
    assert.deepEqual([...inside.results.keys()], [...attempts]);
    for (const attempt of attempts) {
      const { done, error } = outside.results.get(attempt) ?? {};
      if (forbiddenToAll.has(attempt) && done === false) context.diagnostic(`${attempt}: nobody may here`);
      else assert.equal(done, true, `unconfined: ${attempt}: ${error}`);
      assert.equal(inside.results.get(attempt)?.done, false, `confined: ${attempt}`);
    }
    context.diagnostic(`${attempts.length} attempts; control groups: ${confinement.groups.description}`);
  });

  it('ends a VMM that takes more memory than its share, and that one only', async (context) => {
    if (confinement.groups.obstacle !== undefined) return context.skip(confinement.groups.obstacle);
    const { results, signal } = await intrude(['memory', '1024'], confined);
    assert.equal(signal, 'SIGKILL');
    assert.equal(results.get('take much memory'), undefined);
    for (const process of victims) assert.equal(process.exitCode ?? process.signalCode, null);
  });

  it('grants as much memory as the guest and the VMM may have', async () => {
    assert.equal((await intrude(['memory', '512'], confined)).results.get('take much memory')?.done, true);
  });

  it('gives each VMM a user, a group and control groups of its own, and takes away the latter', async (context) => {
    const start = async (name: string): Promise<ChildProcess> => {
      await mkdir(at(name), { mode: 0o700 });
      const own = { ...cell(), directory: at(name) };
      const [program, args] = confinement.command(intruder, ['wait'], own);
      const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      victims.push(child);
      await once(child.stdout, 'data');
      await confinement.enclose(child.pid ?? 0, own);
      return child;
    };
    const [one, two] = await Promise.all([start('first'), start('second')]);
    const users = await Promise.all(
      [one, two].map(async ({ pid }) => {
        const status = await readFile(`/proc/${pid}/status`, 'utf8');
        const numbers = /^Uid:\s+(.*)$/m.exec(status)?.[1]?.split(/\s+/) ?? [];
        assert.equal(new Set(numbers).size, 1, 'real, effective and saved user');
        assert.match(status, /^Groups:\s*$/m);
        assert.match(status, /^CapEff:\s+0+$/m);
        assert.match(status, /^CapBnd:\s+0+$/m);
        assert.match(status, /^NoNewPrivs:\s+1$/m);
        assert.match(status, /^Seccomp:\s+2$/m);
        return Number(numbers[0]);
      }),
    );
    assert.equal(users[0], 0x7000_0000 + (one.pid ?? 0));
    assert.notEqual(users[0], users[1]);
    assert.equal((await stat(at('first', 'disk.qcow2'))).uid, users[0]);
    assert.equal((await stat(at('first', 'disk.qcow2'))).mode & 0o777, 0o600);
    const groups = await readFile(`/proc/${one.pid}/cgroup`, 'utf8');
    for (const child of [one, two]) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await confinement.groups.remove(at('first'));
    await confinement.groups.remove(at('second'));
    if (confinement.groups.obstacle !== undefined) return context.skip(confinement.groups.obstacle);
    const group = /^\d+:(?:pids)?:(\/dormouse-confinement-test\/first-[0-9a-f]{12})$/m.exec(groups)?.[1];
    assert.ok(group, groups);
    await assert.rejects(stat(path.join(path.dirname(await controlGroupRoot()), group)), { code: 'ENOENT' });
  });

  it('keeps what it can of that where the server is an ordinary user', async (context) => {
    const nobody = 65_534;
    const probe: readonly string[] = ['--reuid', String(nobody), '--regid', String(nobody), '--clear-groups'];
    await chmod(directory, 0o755);
    const asNobody =
      (level: string) =>
      async (args: readonly string[]): Promise<Start> => {
        await chown(at('own'), nobody, nobody);
        await chown(at('own', 'disk.qcow2'), nobody, nobody);
        const options = ['--directory', at('own'), '--read-only', at('snapshot'), '--read-only', intruder];
        const largest = ['--largest-file', String(1024 ** 3)];
        const jail = locateAssets().vmmJail;
        return {
          command: ['setpriv', [...probe, jail, level, ...options, ...largest, '--', intruder, ...args]],
        };
      };
    const managed = async (level: string): Promise<readonly string[]> => {
      const { results } = await intrude(['attempts', ...facts], asNobody(level));
      return [...results.values()].filter(({ done }) => done).map(({ attempt }) => attempt);
    };
    const filtered = await managed('filter');
    assert.ok(filtered.length > 0, 'the intruder did not run');
    for (const attempt of ['connect to a port of the host', 'trace the server', 'mount', 'use io_uring']) {
      assert.ok(!filtered.includes(attempt), attempt);
    }
    const possible = await run('setpriv', [...probe, 'unshare', '--user', '--mount', 'true']).then(
      () => true,
      () => false,
    );
    if (!possible) return context.skip('user namespaces are not for ordinary users here');
    // Without a user of its own a process counts against its user's limit only, and owns its directory.
    assert.deepEqual(await managed('namespace'), ['add to its own directory', 'start many processes']);
  });
});

/** The group of processes that are in none, in the hierarchy that limits processes. */
async function controlGroupRoot(): Promise<string> {
  for (const root of ['/sys/fs/cgroup/pids', '/sys/fs/cgroup/unified', '/sys/fs/cgroup']) {
    const file = path.join(root, 'cgroup.procs');
    if (
      await stat(file).then(
        () => true,
        () => false,
      )
    )
      return file;
  }
  return '/sys/fs/cgroup/cgroup.procs';
}
