import { mkdir, mkdtemp, readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { mountedHierarchies } from '../../src/vmm/qemu/hierarchies.ts';

/** A place of the kernel's for control groups that no server of this machine looks at. */
export interface KernelGroups {
  /** Says that it is mounted. */
  readonly mountInfo: string;
  remove(): Promise<void>;
}

/** @returns why there is none where it cannot be had */
export async function kernelGroups(): Promise<KernelGroups | string> {
  const all = await mountedHierarchies('/proc/self/mountinfo');
  const host = all.find(({ controllers }) => controllers.includes('pids'));
  if (host === undefined) return 'no control groups for processes';
  const root = path.join(host.root, `test-${process.pid}-${performance.now().toFixed(0)}`);
  try {
    if (host.version === 2) await writeFile(path.join(host.root, 'cgroup.subtree_control'), '+pids');
    await mkdir(root);
  } catch (error) {
    return `no control group can be made: ${error}`;
  }
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-groups-'));
  const mountInfo = path.join(directory, 'mountinfo');
  const kind = host.version === 1 ? 'cgroup cgroup rw,pids' : 'cgroup2 cgroup2 rw';
  await writeFile(mountInfo, `31 23 0:28 / ${root} rw - ${kind}\n`);
  return {
    mountInfo,
    async remove() {
      await removeGroups(root);
      await rm(directory, { recursive: true });
    },
  };
}

async function removeGroups(group: string): Promise<void> {
  for (const entry of await readdir(group, { withFileTypes: true })) {
    if (entry.isDirectory()) await removeGroups(path.join(group, entry.name));
  }
  await rmdir(group);
}
