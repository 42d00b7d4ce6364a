import type { Clock } from '../model/clock.ts';

export interface RepeatOptions {
  /** From the end of one turn to the next. */
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

/** Works now and again after every interval, until the returned function is called, which waits for a turn under way. */
export function repeatedly(work: () => Promise<void>, options: RepeatOptions): () => Promise<void> {
  const { intervalMs, clock, onError } = options;
  let cancel = (): void => undefined;
  let stopped = false;
  let working = Promise.resolve();
  const turn = (): void => {
    working = work()
      .catch(onError)
      .finally(() => {
        if (!stopped) cancel = clock.schedule(intervalMs, turn);
      });
  };
  turn();
  return async () => {
    stopped = true;
    cancel();
    await working;
  };
}
