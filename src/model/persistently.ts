import type { Clock } from './clock.ts';
import { pause } from './pause.ts';

const firstDelayMs = 100;
const longestDelayMs = 30_000;

export interface Persistence {
  readonly clock: Clock;
  /** Ends the attempts; its reason is thrown. */
  readonly signal: AbortSignal;
  readonly onFailure: (error: unknown) => void;
}

/**
 * Repeats work that has to be done whatever stands in its way, such as storing what has already happened while the
 * disk is full: at first soon, then ever less often.
 * @throws the signal's reason
 */
export async function persistently<Result>(
  work: () => Promise<Result>,
  { clock, signal, onFailure }: Persistence,
): Promise<Result> {
  for (let delayMs = firstDelayMs; ; delayMs = Math.min(delayMs * 2, longestDelayMs)) {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      onFailure(error);
    }
    await pause(clock, delayMs, signal);
  }
}
