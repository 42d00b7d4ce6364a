import { mkdir, readdir, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isThere } from '../../blobs/entries.ts';
import { sandboxId } from './runsc.ts';

const mountPoint = '/sys/fs/cgroup';
const removalAttempts = 200;
const removalPauseMs = 1;

/** Control groups of sandboxes, which runsc makes; whoever ends a sandbox removes its groups. */
export class SandboxGroups {
  readonly #name: string;
  /** Why sandboxes get none; undefined when they do. */
  readonly obstacle: string | undefined;

  private constructor(name: string, obstacle: string | undefined) {
    this.#name = name;
    this.obstacle = obstacle;
  }

  /** @param name of the group that holds those of all sandboxes of a server */
  static async find(name: string): Promise<SandboxGroups> {
    const obstacle = await whyNot(name);
    return new SandboxGroups(name, obstacle);
  }

  /** Path below each hierarchy's root, as runsc wants it; undefined where there are none. */
  pathOf(directory: string): string | undefined {
    return this.obstacle === undefined ? `/${this.#name}/${sandboxId(directory)}` : undefined;
  }

  async remove(directory: string): Promise<void> {
    if (this.obstacle !== undefined) return;
    for (const root of await hierarchies()) {
      const parent = path.join(root, this.#name);
      await removeGroup(path.join(parent, sandboxId(directory)));
      // Stays while others are in it.
      await rmdir(parent).catch(() => undefined);
    }
  }
}

async function hierarchies(): Promise<readonly string[]> {
  const entries = await readdir(mountPoint, { withFileTypes: true }).catch(() => []);
  return [
    mountPoint,
    ...entries.filter((entry) => entry.isDirectory()).map(({ name }) => path.join(mountPoint, name)),
  ];
}

async function removeGroup(group: string): Promise<void> {
  for (let attempt = 0; attempt < removalAttempts; attempt++) {
    try {
      await rmdir(group);
      return;
    } catch (error) {
      const busy = error instanceof Error && 'code' in error && error.code === 'EBUSY';
      if (!busy) return;
    }
    await delay(removalPauseMs);
  }
}

/** Finds out by making one. */
async function whyNot(name: string): Promise<string | undefined> {
  const version1 = path.join(mountPoint, 'memory');
  const probe = path.join((await isThere(version1)) ? version1 : mountPoint, `${name}-probe-${process.pid}`);
  try {
    await mkdir(probe);
    await rmdir(probe);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
