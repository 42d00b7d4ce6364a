import { readFile, statfs } from 'node:fs/promises';
import os from 'node:os';
import type { HostMemory } from './host-pressure.ts';

/** Limits of the control group the server is in, as a container sees them: of version 2 and of version 1. */
const groupFiles = [
  { limit: '/sys/fs/cgroup/memory.max', usage: '/sys/fs/cgroup/memory.current' },
  {
    limit: '/sys/fs/cgroup/memory/memory.limit_in_bytes',
    usage: '/sys/fs/cgroup/memory/memory.usage_in_bytes',
  },
] as const;

/** The memory of the machine, or of the container where that has less. */
export async function withinControlGroup(memory: HostMemory): Promise<HostMemory> {
  for (const { limit, usage } of groupFiles) {
    const [most, used] = await Promise.all([limit, usage].map(readNumber));
    if (most === undefined || used === undefined || most >= memory.totalBytes) continue;
    const availableBytes = Math.min(memory.availableBytes, Math.max(0, most - used));
    return { totalBytes: most, availableBytes };
  }
  return memory;
}

async function readNumber(file: string): Promise<number | undefined> {
  const value = Number.parseInt(await readFile(file, 'utf8').catch(() => ''), 10);
  return Number.isNaN(value) ? undefined : value;
}

/** Bytes that the server may still write below `directory`. */
export async function freeDiskBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

export function processors(): number {
  return os.availableParallelism();
}
