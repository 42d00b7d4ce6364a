import type { MicrovmController } from './controller.ts';
import type { Leases } from './leases.ts';

/** What was used a moment ago will be used again. */
const leastIdleMs = 1_000;

/**
 * Begins to put the VM to sleep that has been idle for longest, of those that sleep by themselves sooner or later
 * and that no lease keeps awake.
 * @returns whether there was one
 */
export async function suspendLongestIdle(
  controllers: Iterable<MicrovmController>,
  leases: Leases,
  now: number,
): Promise<boolean> {
  let longest: MicrovmController | undefined;
  for (const controller of controllers) {
    const { state, idlePolicy, microvmId } = controller.vm;
    if (state !== 'RUNNING' || idlePolicy === null || (leases.endOf(microvmId) ?? 0) > now) continue;
    if (now - controller.lastActivityAt < leastIdleMs) continue;
    if (longest === undefined || controller.lastActivityAt < longest.lastActivityAt) longest = controller;
  }
  await longest?.suspend();
  return longest !== undefined;
}
