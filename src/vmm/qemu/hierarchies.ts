import { readdir, readFile, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** The last thread of a killed process leaves its group a moment after the process is gone. */
const removalAttempts = 200;
const removalPauseMs = 1;

/** Controllers that limit a VMM; without the first two a VMM counts as unlimited. */
const controllers = ['memory', 'pids', 'cpu', 'blkio'] as const;
export type Controller = (typeof controllers)[number];
/** Version 2 calls it otherwise. */
export const unified: Readonly<Record<Controller, string>> = {
  memory: 'memory',
  pids: 'pids',
  cpu: 'cpu',
  blkio: 'io',
};

/** Groups of all servers of this host begin so; that of builds has its own way. */
const ownPrefix = 'dormouse-';
const groupOfBuilds = 'dormouse-builds';

/** A mounted hierarchy and those of our controllers that it has. */
export interface Hierarchy {
  readonly root: string;
  readonly version: 1 | 2;
  readonly controllers: readonly Controller[];
}

/** Paths in mountinfo have spaces and the like as octal numbers. */
function decodeOctal(text: string): string {
  return text.replaceAll(/\\(\d{3})/g, (_all, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/**
 * What is mounted, by the file in which the kernel says so. Each of our controllers belongs to one hierarchy; those
 * without any are left out.
 */
export async function mountedHierarchies(mountInfo: string): Promise<readonly Hierarchy[]> {
  const mounts = await readFile(mountInfo, 'utf8').catch(() => '');
  const found: Hierarchy[] = [];
  for (const line of mounts.split('\n')) {
    const [mount = '', file = ''] = line.split(' - ');
    const root = decodeOctal(mount.split(' ')[4] ?? '');
    const [type, , options = ''] = file.split(' ');
    if (type === 'cgroup') {
      const names = new Set(options.split(','));
      found.push({ root, version: 1, controllers: controllers.filter((name) => names.has(name)) });
    } else if (type === 'cgroup2') {
      const text = await readFile(path.join(root, 'cgroup.controllers'), 'utf8').catch(() => '');
      const names = new Set(text.trim().split(' '));
      found.push({ root, version: 2, controllers: controllers.filter((name) => names.has(unified[name])) });
    }
  }
  return found.filter(({ controllers: names }) => names.length > 0);
}

/** Groups in a hierarchy that hold those of VMs of one server, whichever it is, and the ones they hold. */
export async function ownGroups(
  root: string,
): Promise<readonly { readonly group: string; readonly members: readonly string[] }[]> {
  const names = (await directoriesIn(root)).filter(
    (name) => name.startsWith(ownPrefix) && name !== groupOfBuilds,
  );
  return await Promise.all(
    names.map(async (name) => {
      const group = path.join(root, name);
      const members = await directoriesIn(group);
      return { group, members: members.map((member) => path.join(group, member)) };
    }),
  );
}

async function directoriesIn(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
}

/** Whether the group is gone. One in use, or that may not be removed, is left to the next server. */
export async function tryToRemove(group: string): Promise<boolean> {
  return await rmdir(group).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  );
}

/** Removes the group of a process that is gone. */
export async function removeGroup(group: string): Promise<void> {
  for (let attempt = 1; attempt < removalAttempts; attempt += 1) {
    if (await tryToRemove(group)) return;
    await delay(removalPauseMs);
  }
}
