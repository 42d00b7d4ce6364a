import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type MachineShape, VmmError } from '../vmm.ts';
import {
  type Controller,
  type Hierarchy,
  mountedHierarchies,
  ownGroups,
  removeGroup,
  tryToRemove,
  unified,
} from './hierarchies.ts';

/** Many, because another server may be tidying up all the while. */
const creationAttempts = 100;

/**
 * How long a hierarchy that cannot be used is left alone: at first for a moment, because the host may have failed for
 * a moment only, then twice as long each time.
 */
const firstRetryMs = 1_000;
const longestRetryMs = 600_000;

/** Threads and processes of one VMM: virtual CPUs, and up to 64 threads for its disk. */
const processes = 256;
const periodMicroseconds = 100_000;
/** Share of the disk's time against groups that have 100, where the kernel divides it. */
const ioWeight = 50;

export interface GroupLimits extends MachineShape {
  /** Memory of the VMM besides that of its guest. */
  readonly overheadBytes: number;
}

interface Setting {
  readonly controller: Controller;
  readonly file: string;
  readonly value: string | number;
  /** Settings that not every kernel has. */
  readonly optional?: true;
}

function settings(version: 1 | 2, { memoryMib, vcpus, overheadBytes }: GroupLimits): readonly Setting[] {
  const memory = memoryMib * 1024 ** 2 + overheadBytes;
  // One processor more than the guest has, for the disk and what the VMM itself does.
  const quota = (vcpus + 1) * periodMicroseconds;
  return version === 2
    ? [
        { controller: 'memory', file: 'memory.max', value: memory },
        { controller: 'pids', file: 'pids.max', value: processes },
        { controller: 'cpu', file: 'cpu.weight', value: Math.min(10_000, 100 * vcpus) },
        { controller: 'cpu', file: 'cpu.max', value: `${quota} ${periodMicroseconds}` },
        { controller: 'blkio', file: 'io.weight', value: ioWeight, optional: true },
      ]
    : [
        { controller: 'memory', file: 'memory.limit_in_bytes', value: memory },
        { controller: 'pids', file: 'pids.max', value: processes },
        { controller: 'cpu', file: 'cpu.shares', value: 1024 * vcpus },
        { controller: 'cpu', file: 'cpu.cfs_period_us', value: periodMicroseconds, optional: true },
        { controller: 'cpu', file: 'cpu.cfs_quota_us', value: quota, optional: true },
        { controller: 'blkio', file: 'blkio.bfq.weight', value: ioWeight, optional: true },
      ];
}

export interface ControlGroupOptions {
  /** Name of the group that holds those of all VMs. */
  readonly name: string;
  /** Where the kernel says what is mounted; for tests. */
  readonly mountInfo?: string;
  /** Milliseconds that only grow; for tests. */
  readonly now?: () => number;
}

/**
 * A control group for each VMM, of version 2, of version 1, or of both where controllers are divided among them.
 * They hang below the root, where they outlive the server and whatever session or service it was started in.
 */
export class ControlGroups {
  readonly #name: string;
  readonly #hierarchies: Hierarchy[] = [];
  /** What is mounted and could not be used so far, and why. */
  readonly #unusable = new Map<Hierarchy, string>();
  readonly #now: () => number;
  /** The try under way; VMMs that start together need no more than one. */
  #trial: Promise<void> | undefined;
  #retryMs = firstRetryMs;
  #nextTrialAt = Number.NEGATIVE_INFINITY;

  private constructor(name: string, mounted: readonly Hierarchy[], now: () => number) {
    this.#name = name;
    this.#now = now;
    for (const hierarchy of mounted) this.#unusable.set(hierarchy, '');
  }

  /** Finds what this machine lets us limit. Leaves nothing behind. */
  static async find({
    name,
    mountInfo = '/proc/self/mountinfo',
    now = () => performance.now(),
  }: ControlGroupOptions): Promise<ControlGroups> {
    const mounted = await mountedHierarchies(mountInfo);
    const found = new ControlGroups(name, mounted, now);
    await found.#retryUnusable();
    await found.#removeParents();
    return found;
  }

  /** Why VMMs are not limited; undefined when they are. */
  get obstacle(): string | undefined {
    const missing = (['memory', 'pids'] as const).filter(
      (wanted) => !this.#hierarchies.some((hierarchy) => hierarchy.controllers.includes(wanted)),
    );
    if (missing.length === 0) return undefined;
    const [reason = 'the host offers none'] = this.#unusable.values();
    return `no control group for ${missing.join(' and ')}: ${reason}`;
  }

  /**
   * A host that fails for a moment must not leave VMMs without limits for as long as the server runs, and one that
   * has nothing to offer must not be asked at the start of every VMM.
   */
  async #retryUnusable(): Promise<void> {
    if (this.#trial === undefined && this.#unusable.size > 0 && this.#now() >= this.#nextTrialAt) {
      this.#trial = this.#tryUnusable().finally(() => {
        this.#trial = undefined;
        this.#nextTrialAt = this.#now() + this.#retryMs;
        this.#retryMs = Math.min(this.#retryMs * 2, longestRetryMs);
      });
    }
    await this.#trial;
  }

  async #tryUnusable(): Promise<void> {
    for (const hierarchy of [...this.#unusable.keys()]) {
      try {
        await enable(hierarchy, this.#name);
        this.#unusable.delete(hierarchy);
        this.#hierarchies.push(hierarchy);
      } catch (error) {
        this.#unusable.set(hierarchy, error instanceof Error ? error.message : String(error));
      }
    }
  }

  /** Controllers in use, for a person. */
  get description(): string {
    const names = (version: 1 | 2): string =>
      this.#hierarchies.flatMap((found) => (found.version === version ? found.controllers : [])).join(', ');
    return ([1, 2] as const)
      .filter((version) => names(version) !== '')
      .map((version) => `${names(version)} (version ${version})`)
      .join('; ');
  }

  /**
   * Makes the group of the VMM in `directory` with its limits and puts the process there. The first of several
   * joins waits until all processors have passed through the scheduler, so it is best done while QEMU starts. What
   * could not be used before is tried again now and then.
   */
  async enclose(directory: string, pid: number, limits: GroupLimits): Promise<void> {
    await this.#retryUnusable();
    for (const hierarchy of [...this.#hierarchies]) {
      const group = path.join(hierarchy.root, this.#name, groupName(directory));
      const join = async (): Promise<void> => {
        await makeGroup(group);
        await applySettings(group, hierarchy, limits);
        await writeFile(path.join(group, 'cgroup.procs'), String(pid));
      };
      for (let attempt = 1; !(await held(join)); attempt += 1) {
        if (attempt === creationAttempts) throw new VmmError(`the control group ${group} cannot be made`);
        await held(() => enable(hierarchy, this.#name));
      }
    }
  }

  /** Removes the group of the VMM that was in `directory`, whose process is gone. */
  async remove(directory: string): Promise<void> {
    await Promise.all(
      this.#hierarchies.map(({ root }) => removeGroup(path.join(root, this.#name, groupName(directory)))),
    );
    await this.#removeParents();
  }

  /**
   * Removes all groups that hold no process: what servers that were killed have left, also those whose data
   * directory is gone, so that no server of theirs will come.
   */
  async removeIdle(): Promise<void> {
    for (const { root } of this.#hierarchies) {
      for (const { group, members } of await ownGroups(root)) {
        await Promise.all(members.map(tryToRemove));
        await tryToRemove(group);
      }
    }
  }

  async #removeParents(): Promise<void> {
    await Promise.all(this.#hierarchies.map(({ root }) => tryToRemove(path.join(root, this.#name))));
  }
}

/** One name for one VM directory, also after the server that made the group is gone. */
export function groupName(directory: string): string {
  const digest = createHash('sha256').update(path.resolve(directory)).digest('hex').slice(0, 12);
  return `${path
    .basename(directory)
    .replaceAll(/[^a-zA-Z0-9_-]/g, '_')
    .slice(0, 60)}-${digest}`;
}

/** Makes the group that holds the others, and in version 2 hands it the controllers. */
async function enable(hierarchy: Hierarchy, name: string): Promise<void> {
  const parent = path.join(hierarchy.root, name);
  if (hierarchy.version === 2) await handDown(hierarchy.root, hierarchy);
  await makeGroup(parent);
  if (hierarchy.version === 2) await handDown(parent, hierarchy);
}

async function handDown(group: string, hierarchy: Hierarchy): Promise<void> {
  const change = hierarchy.controllers.map((name) => `+${unified[name]}`).join(' ');
  await writeFile(path.join(group, 'cgroup.subtree_control'), change);
}

/**
 * False when a group was removed under the work: with the last VM, or by another server of this host, to which a
 * group without a process belongs to nobody.
 */
async function held(work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENODEV')) {
      return false;
    }
    throw error;
  }
}

async function makeGroup(group: string): Promise<void> {
  await mkdir(group).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
}

async function applySettings(group: string, hierarchy: Hierarchy, limits: GroupLimits): Promise<void> {
  for (const { controller, file, value, optional } of settings(hierarchy.version, limits)) {
    if (!hierarchy.controllers.includes(controller)) continue;
    await writeFile(path.join(group, file), String(value)).catch((error: unknown) => {
      if (optional !== true) throw error;
    });
  }
}
