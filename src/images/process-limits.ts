import { readFile } from 'node:fs/promises';

/** Name in /proc/PID/limits of each limit that a container engine may set for its steps. */
const names = { nofile: 'Max open files', nproc: 'Max processes' } as const;

/**
 * Limits of this process as `default_ulimits` of containers.conf has them, such as `nofile=1024:524288`. A container
 * engine would otherwise raise those of a step to numbers of its own, which root may not do in a container.
 * @param most by name, what a limit is lowered to
 */
export async function stepLimits(
  most: Partial<Record<keyof typeof names, number>>,
): Promise<readonly string[]> {
  return readLimits(await readFile('/proc/self/limits', 'utf8'), most);
}

/** As {@link stepLimits}, from what /proc/PID/limits says. */
export function readLimits(
  text: string,
  most: Partial<Record<keyof typeof names, number>>,
): readonly string[] {
  return Object.entries(names).flatMap(([name, label]) => {
    const [, soft, hard] = new RegExp(`^${label}\\s+(\\S+)\\s+(\\S+)`, 'm').exec(text) ?? [];
    if (soft === undefined || hard === undefined) return [];
    const bound = most[name as keyof typeof names];
    return [`${name}=${lowered(soft, bound)}:${lowered(hard, bound)}`];
  });
}

function lowered(limit: string, most: number | undefined): number {
  const number = limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit);
  const chosen = Math.min(number, most ?? Number.POSITIVE_INFINITY);
  return Number.isFinite(chosen) ? chosen : -1;
}
