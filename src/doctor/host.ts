import { constants } from 'node:fs';
import { access, readFile, statfs } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type Check, inspect } from './check.ts';

const gibibyte = 2 ** 30;
const wantedDiskBytes = 2 * gibibyte;
const wantedMemoryBytes = gibibyte;
const ptraceScopeFile = '/proc/sys/kernel/yama/ptrace_scope';

/** Whether the machine has room, and lets the server write its state and read its VMs' memory. */
export function checkHost(dataDirectory: string): Promise<readonly Check[]> {
  return Promise.all([
    checkDataDirectory(dataDirectory),
    checkDisk(dataDirectory),
    checkMemory(),
    checkPtrace(),
  ]);
}

function checkDataDirectory(directory: string): Promise<Check> {
  return inspect('data directory', true, async () => {
    const existing = await nearestExisting(directory);
    try {
      await access(existing, constants.W_OK | constants.X_OK);
      return { ok: true, detail: directory };
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      return { ok: false, detail, remedy: 'give the server a directory it may write to, with --data-dir' };
    }
  });
}

function checkDisk(directory: string): Promise<Check> {
  return inspect('disk space', false, async () => {
    const { bavail, bsize } = await statfs(await nearestExisting(directory));
    const free = bavail * bsize;
    const detail = `${inGibibytes(free)} free for ${directory}`;
    if (free >= wantedDiskBytes) return { ok: true, detail };
    const remedy = `free some space, or use another --data-dir: ${inGibibytes(wantedDiskBytes)} is a sensible least`;
    return { ok: false, detail, remedy };
  });
}

async function nearestExisting(directory: string): Promise<string> {
  const absolute = path.resolve(directory);
  const parent = path.dirname(absolute);
  return await statfs(absolute).then(
    () => absolute,
    (error: unknown) => {
      if (parent === absolute) throw error;
      return nearestExisting(parent);
    },
  );
}

function checkMemory(): Promise<Check> {
  return inspect('memory', false, async () => {
    const available = os.availableParallelism();
    const free =
      Number(/^MemAvailable:\s+(\d+) kB$/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1]) * 1024;
    const detail = `${inGibibytes(free)} available, ${available} processors`;
    if (free >= wantedMemoryBytes) return { ok: true, detail };
    return {
      ok: false,
      detail,
      remedy: `end other programs: builds alone take about ${inGibibytes(wantedMemoryBytes)}`,
    };
  });
}

/**
 * Suspending reads the memory of the VMM by /proc/PID/mem from a helper beside it, which Yama refuses from
 * scope 1 on: there only an ancestor, or root, may.
 */
function checkPtrace(): Promise<Check> {
  return inspect('reading VM memory', true, async () => {
    const scope = Number(await readFile(ptraceScopeFile, 'utf8').catch(() => '0'));
    const root = process.getuid?.() === 0;
    if (scope === 0 || (root && scope < 3)) return { ok: true, detail: `allowed (ptrace scope ${scope})` };
    return {
      ok: false,
      detail: `the kernel forbids it (ptrace scope ${scope}), so microVMs cannot be suspended`,
      remedy:
        scope < 3
          ? 'run the server as root, or: sysctl kernel.yama.ptrace_scope=0'
          : 'boot with a lower kernel.yama.ptrace_scope',
    };
  });
}

function inGibibytes(bytes: number): string {
  return `${(bytes / gibibyte).toFixed(1)} GiB`;
}
