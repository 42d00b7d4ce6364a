import type { Clock } from '../model/clock.ts';
import type { FileLogStore } from './file-log-store.ts';

const intervalMs = 60 * 60 * 1000;
const dayMs = 24 * 60 * 60 * 1000;

export interface LogSweeperOptions {
  readonly retentionDays: number;
  /** All streams together. */
  readonly totalBytes: number;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

/** Sweeps now and every hour, until the returned function is called, which waits for a sweep under way. */
export function startLogSweeper(
  logs: Pick<FileLogStore, 'sweep'>,
  options: LogSweeperOptions,
): () => Promise<void> {
  const { retentionDays, totalBytes, clock, onError } = options;
  let cancel = (): void => undefined;
  let stopped = false;
  let sweeping = Promise.resolve();
  const sweep = (): void => {
    sweeping = logs
      .sweep({ writtenSince: clock.now() - retentionDays * dayMs, totalBytes })
      .catch(onError)
      .finally(() => {
        if (!stopped) cancel = clock.schedule(intervalMs, sweep);
      });
  };
  sweep();
  return async () => {
    stopped = true;
    cancel();
    await sweeping;
  };
}
