import type { Clock } from '../model/clock.ts';
import type { FileLogStore } from './file-log-store.ts';
import { repeatedly } from './repeatedly.ts';

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
  const sweep = (): Promise<void> =>
    logs.sweep({ writtenSince: clock.now() - retentionDays * dayMs, totalBytes });
  return repeatedly(sweep, { intervalMs, clock, onError });
}
