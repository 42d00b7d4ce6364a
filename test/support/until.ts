import { setTimeout as delay } from 'node:timers/promises';

const longestMs = 60_000;
const longestPauseMs = 50;

/**
 * Waits for what nothing tells of.
 * @param what names it in the error of a wait in vain
 * @throws when it has not come true within a minute, or what `holds` throws
 */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const start = performance.now();
  while (!(await holds())) {
    const waited = performance.now() - start;
    if (waited > longestMs) throw new Error(`waited in vain: ${what}`);
    // What comes soon is noticed soon, and what takes long is not slowed down by the looking.
    await delay(Math.min(waited / 10, longestPauseMs));
  }
}
