import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { kernelGroups } from '../../../test/support/kernel-groups.ts';
import { ControlGroups } from './control-groups.ts';
import { findIdleGroups, removeIdleGroup } from './idle-groups.ts';

test('a group of the kernel is idle once its process is gone, and goes with the one around it', async (t) => {
  const place = await kernelGroups();
  if (typeof place === 'string') return t.skip(place);
  const { mountInfo } = place;
  const sleeper = spawn('/bin/sleep', ['1000']);
  const exited = once(sleeper, 'exit');
  t.after(async () => {
    sleeper.kill('SIGKILL');
    await place.remove();
  });
  const groups = await ControlGroups.find({ name: 'dormouse-vms', mountInfo });
  await groups.enclose('/data/vm', sleeper.pid ?? 0, { memoryMib: 1, vcpus: 1, overheadBytes: 2 ** 30 });
  assert.deepEqual(await findIdleGroups(mountInfo), []);
  sleeper.kill('SIGKILL');
  await exited;
  const [idle, ...others] = await findIdleGroups(mountInfo);
  assert.ok(idle);
  assert.match(idle.name, /^dormouse-vms\/vm-[0-9a-f]{12}$/);
  assert.deepEqual([others, idle.removable, idle.paths.length], [[], true, 1]);
  await removeIdleGroup(idle);
  assert.deepEqual(await findIdleGroups(mountInfo), []);
  await assert.rejects(access(path.dirname(idle.paths[0] ?? '')), { code: 'ENOENT' });
});

test('only groups of servers count, those of builds do not, and a process in a group is seen', async (t) => {
  const root = await mkdtemp(path.join(os.tmpdir(), 'dormouse-groups-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  const hierarchy = path.join(root, 'pids');
  const mountInfo = path.join(root, 'mountinfo');
  await mkdir(hierarchy);
  await writeFile(mountInfo, `31 23 0:28 / ${hierarchy} rw - cgroup cgroup rw,pids\n`);
  const processes: Readonly<Record<string, string>> = {
    'dormouse-vms': '',
    'dormouse-vms/idle': '',
    'dormouse-vms/busy': '4711\n',
    'dormouse-empty': '',
    'dormouse-builds': '',
    'somebody/else': '',
  };
  for (const [group, pids] of Object.entries(processes)) {
    await mkdir(path.join(hierarchy, group), { recursive: true });
    await writeFile(path.join(hierarchy, group, 'cgroup.procs'), pids);
  }
  const found = (await findIdleGroups(mountInfo)).map(({ name }) => name);
  assert.deepEqual(found.sort(), ['dormouse-empty', 'dormouse-vms/idle']);
  assert.deepEqual(await findIdleGroups(path.join(root, 'none')), []);
  if (process.getuid?.() === 0) return;
  await chmod(path.join(hierarchy, 'dormouse-vms'), 0o555);
  const [, idle] = await findIdleGroups(mountInfo);
  assert.equal(idle?.removable, false);
});
