import { access, constants, readFile, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { groupName } from './control-groups.ts';
import { mountedHierarchies, ownGroups, removeGroup, tryToRemove } from './hierarchies.ts';

const defaultMountInfo = '/proc/self/mountinfo';

/** A control group that a server made and that holds no process, in all hierarchies where it is. */
export interface IdleGroup {
  /** Below the root of its hierarchies. */
  readonly name: string;
  readonly paths: readonly string[];
  /** Whether this user may remove it. */
  readonly removable: boolean;
}

/**
 * Control groups of VMs that are gone, whichever server of this host made them. Nothing is changed.
 * @param mountInfo where the kernel says what is mounted; for tests
 */
export async function findIdleGroups(mountInfo = defaultMountInfo): Promise<readonly IdleGroup[]> {
  const places = new Map<string, string[]>();
  for (const { root } of await mountedHierarchies(mountInfo)) {
    for (const { group, members } of await ownGroups(root)) {
      for (const candidate of members.length > 0 ? members : [group]) {
        if (!(await isIdle(candidate))) continue;
        const name = path.relative(root, candidate);
        places.set(name, [...(places.get(name) ?? []), candidate]);
      }
    }
  }
  return await Promise.all(
    [...places].map(async ([name, paths]) => ({ name, paths, removable: await mayRemove(paths) })),
  );
}

/** Removes what still is idle, and the group around it when it was the last. */
export async function removeIdleGroup({ name, paths }: IdleGroup): Promise<void> {
  for (const group of paths) {
    await rmdir(group).catch(unless('ENOENT', 'EBUSY'));
    if (name.includes('/')) await tryToRemove(path.dirname(group));
  }
}

/** Removes the groups of the VMM that was in `directory`, whichever server started it; its process is gone. */
export async function removeGroupsOf(directory: string, mountInfo = defaultMountInfo): Promise<void> {
  const name = groupName(directory);
  for (const { root } of await mountedHierarchies(mountInfo)) {
    for (const { group, members } of await ownGroups(root)) {
      const own = path.join(group, name);
      if (!members.includes(own)) continue;
      await removeGroup(own);
      await tryToRemove(group);
    }
  }
}

/** One that is gone meanwhile is not idle but gone. */
async function isIdle(group: string): Promise<boolean> {
  return (await readFile(path.join(group, 'cgroup.procs'), 'utf8').catch(() => 'gone')) === '';
}

async function mayRemove(groups: readonly string[]): Promise<boolean> {
  const allowed = groups.map((group) => access(path.dirname(group), constants.W_OK));
  return (await Promise.allSettled(allowed)).every(({ status }) => status === 'fulfilled');
}

function unless(...codes: readonly string[]): (error: NodeJS.ErrnoException) => void {
  return (error) => {
    if (!codes.includes(error.code ?? '')) throw error;
  };
}
