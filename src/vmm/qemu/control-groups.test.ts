import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { ControlGroups } from './control-groups.ts';

const limits = { memoryMib: 512, vcpus: 2, overheadBytes: 1024 ** 2 };

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse groups-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Ordinary directories in place of the kernel's, with the lines that would announce them. */
async function hierarchies(t: TestContext, mounts: readonly (readonly [string, string])[]) {
  const directory = await temporaryDirectory(t);
  const lines = mounts.map(([name, description]) => {
    const place = path.join(directory, name).replaceAll(' ', '\\040');
    return `31 23 0:28 / ${place} rw,relatime - ${description}`;
  });
  for (const [name] of mounts) await mkdir(path.join(directory, name));
  const mountInfo = path.join(directory, 'mountinfo');
  await writeFile(mountInfo, `22 27 0:21 / /proc rw - proc proc rw\n${lines.join('\n')}\n`);
  return {
    directory,
    mountInfo,
    read: (...names: string[]) => readFile(path.join(directory, ...names), 'utf8'),
  };
}

test('version 2 gets its controllers from the root down, and limits by size', async (t) => {
  const { directory, mountInfo, read } = await hierarchies(t, [['all', 'cgroup2 cgroup2 rw,nsdelegate']]);
  await writeFile(path.join(directory, 'all', 'cgroup.controllers'), 'cpuset cpu io memory pids\n');
  const groups = await ControlGroups.find({ name: 'dormouse', mountInfo });
  assert.equal(groups.obstacle, undefined);
  await groups.enclose('/data/microvms/microvm-1', 4711, limits);
  const [name = ''] = (await readdir(path.join(directory, 'all', 'dormouse'))).filter((entry) =>
    entry.includes('-1-'),
  );
  assert.match(name, /^microvm-1-[0-9a-f]{12}$/);
  for (const parent of ['all', 'all/dormouse']) {
    assert.equal(await read(parent, 'cgroup.subtree_control'), '+memory +pids +cpu +io');
  }
  const values = await Promise.all(
    ['memory.max', 'pids.max', 'cpu.weight', 'cpu.max', 'cgroup.procs'].map((file) =>
      read('all', 'dormouse', name, file),
    ),
  );
  assert.deepEqual(values, [String(513 * 1024 ** 2), '256', '200', '300000 100000', '4711']);
});

test('version 1 has one group in each hierarchy, and controllers it lacks are looked for in version 2', async (t) => {
  const { directory, mountInfo, read } = await hierarchies(t, [
    ['memory', 'cgroup cgroup rw,memory'],
    ['cpu,cpuacct', 'cgroup cgroup rw,cpu,cpuacct'],
    ['freezer', 'cgroup cgroup rw,freezer'],
    ['unified', 'cgroup2 cgroup2 rw'],
  ]);
  await writeFile(path.join(directory, 'unified', 'cgroup.controllers'), 'pids\n');
  const groups = await ControlGroups.find({ name: 'dormouse', mountInfo });
  assert.equal(groups.obstacle, undefined);
  assert.equal(groups.description, 'memory, cpu (version 1); pids (version 2)');
  await groups.enclose('/data/vm', 4711, limits);
  const [name = ''] = await readdir(path.join(directory, 'memory', 'dormouse'));
  assert.equal(await read('memory', 'dormouse', name, 'memory.limit_in_bytes'), String(513 * 1024 ** 2));
  assert.equal(await read('cpu,cpuacct', 'dormouse', name, 'cpu.shares'), '2048');
  assert.equal(await read('unified', 'dormouse', name, 'pids.max'), '256');
  assert.deepEqual(await readdir(path.join(directory, 'freezer')), []);
});

test('a machine without control groups, or where they cannot be written, is told from one with them', async (t) => {
  const none = await ControlGroups.find({ name: 'dormouse', mountInfo: '/nonexistent' });
  assert.match(none.obstacle ?? '', /memory and pids: the host offers none/);
  await none.enclose('/data/vm', process.pid, limits);
  const { directory, mountInfo } = await hierarchies(t, [['all', 'cgroup2 cgroup2 rw']]);
  await writeFile(path.join(directory, 'all', 'cgroup.controllers'), 'memory pids\n');
  // As where processes are in the root of a container's own hierarchy: controllers cannot be handed down.
  await mkdir(path.join(directory, 'all', 'cgroup.subtree_control'));
  const refused = await ControlGroups.find({ name: 'dormouse', mountInfo });
  assert.match(refused.obstacle ?? '', /memory and pids: EISDIR/);
  await refused.enclose('/data/vm', process.pid, limits);
  assert.match(refused.obstacle ?? '', /memory and pids: EISDIR/);
});

test('a hierarchy that failed for a moment limits the VMMs that start afterwards', async (t) => {
  const { directory, mountInfo, read } = await hierarchies(t, [
    ['memory', 'cgroup cgroup rw,memory'],
    ['pids', 'cgroup cgroup rw,pids'],
  ]);
  const inTheWay = path.join(directory, 'pids', 'dormouse');
  await rm(path.dirname(inTheWay), { recursive: true });
  let time = 0;
  const groups = await ControlGroups.find({ name: 'dormouse', mountInfo, now: () => time });
  assert.match(groups.obstacle ?? '', /no control group for pids: ENOENT/);
  await mkdir(path.dirname(inTheWay));
  time += 1_000;
  await Promise.all(['one', 'two'].map((name, pid) => groups.enclose(`/data/${name}`, pid, limits)));
  assert.equal(groups.obstacle, undefined);
  assert.equal(groups.description, 'memory, pids (version 1)');
  const made = await readdir(inTheWay);
  assert.equal(made.length, 2);
  for (const name of made) assert.equal(await read('pids', 'dormouse', name, 'pids.max'), '256');
});

test('a hierarchy that cannot be used is tried ever less often, not at the start of every VMM', async (t) => {
  const { directory, mountInfo } = await hierarchies(t, [['pids', 'cgroup cgroup rw,pids']]);
  const home = path.join(directory, 'pids');
  await rm(home, { recursive: true });
  let time = 0;
  const groups = await ControlGroups.find({ name: 'dormouse', mountInfo, now: () => time });
  // What stands in its way changes with each try, so that the next one is seen by its reason.
  const ways = [() => rm(home), () => writeFile(home, '')] as const;
  const reasons = ['ENOENT', 'ENOTDIR'] as const;
  const tries: number[] = [];
  for (let way: 0 | 1 = 0; time < 2_000_000; time += 1_000) {
    await Promise.all(['one', 'two'].map((name) => groups.enclose(`/data/${name}`, 4711, limits)));
    if (!groups.obstacle?.includes(reasons[way])) continue;
    tries.push(time / 1_000);
    way = way === 0 ? 1 : 0;
    await ways[way]();
  }
  assert.deepEqual(tries, [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 1623]);
});

test('groups of the kernel appear, take processes, and go with them', async (t) => {
  const name = `dormouse-groups-test-${process.pid}`;
  const groups = await ControlGroups.find({ name });
  if (groups.obstacle !== undefined) return t.skip(groups.obstacle);
  const directory = path.join(await temporaryDirectory(t), 'vm');
  const sleeper = spawn('/bin/sleep', ['1000']);
  const gone = spawn('/bin/sleep', ['1000']);
  t.after(() => sleeper.kill('SIGKILL'));
  await groups.enclose(directory, sleeper.pid ?? 0, limits);
  await groups.enclose(path.join(directory, 'left'), gone.pid ?? 0, limits);
  gone.kill('SIGKILL');
  await once(gone, 'exit');
  await groups.removeIdle();
  const membership = await readFile(`/proc/${sleeper.pid}/cgroup`, 'utf8');
  assert.match(membership, new RegExp(`/${name}/vm-[0-9a-f]{12}$`, 'm'));
  sleeper.kill('SIGKILL');
  await once(sleeper, 'exit');
  await groups.remove(directory);
  const again = await ControlGroups.find({ name });
  assert.equal(again.obstacle, undefined);
  const left = (await readFile('/proc/self/mounts', 'utf8')).split('\n').flatMap((line) => {
    const [, root = '', type = ''] = line.split(' ');
    return type.startsWith('cgroup') ? [path.join(root, name)] : [];
  });
  assert.ok(left.length > 0);
  for (const group of left) await assert.rejects(access(group), { code: 'ENOENT' });
});

test('a server that tidies up takes no group from under a VMM that another one starts', async (t) => {
  const name = `dormouse-race-test-${process.pid}`;
  const [groups, other] = [await ControlGroups.find({ name }), await ControlGroups.find({ name })];
  if (groups.obstacle !== undefined) return t.skip(groups.obstacle);
  const directory = await temporaryDirectory(t);
  const sleeper = spawn('/bin/sleep', ['1000']);
  t.after(() => sleeper.kill('SIGKILL'));
  let over = false;
  const tidying = (async () => {
    while (!over) await other.removeIdle();
  })();
  try {
    for (let turn = 0; turn < 20; turn += 1) {
      await groups.enclose(path.join(directory, `vm-${turn}`), sleeper.pid ?? 0, limits);
    }
  } finally {
    over = true;
    await tidying;
  }
  sleeper.kill('SIGKILL');
  await once(sleeper, 'exit');
  await groups.remove(path.join(directory, 'vm-19'));
  await groups.removeIdle();
});

test('what a server left whose data directory is gone is removed by any other', async (t) => {
  const name = `dormouse-gone-test-${process.pid}`;
  const groups = await ControlGroups.find({ name });
  if (groups.obstacle !== undefined) return t.skip(groups.obstacle);
  const sleeper = spawn('/bin/sleep', ['1000']);
  await groups.enclose('/data/vm', sleeper.pid ?? 0, limits);
  const membership = await readFile(`/proc/${sleeper.pid}/cgroup`, 'utf8');
  assert.ok(membership.includes(name));
  sleeper.kill('SIGKILL');
  await once(sleeper, 'exit');
  await (await ControlGroups.find({ name: `${name}-other` })).removeIdle();
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' '));
  const roots = mounts.flatMap(([, root = '', type = '']) => (type.startsWith('cgroup') ? [root] : []));
  assert.ok(roots.length > 0);
  for (const root of roots) await assert.rejects(access(path.join(root, name)), { code: 'ENOENT' });
});
