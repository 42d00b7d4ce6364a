import type { Clock } from '../model/clock.ts';
import type { FileLogStore } from './file-log-store.ts';
import { repeatedly } from './repeatedly.ts';

const intervalMs = 60 * 60 * 1000;
const dayMs = 24 * 60 * 60 * 1000;

export interface LogSweeperOptions {
  readonly retentionDays: number;
  /** Days that single groups are kept. */
  readonly groupDays: () => Promise<ReadonlyMap<string, number>>;
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
  const { retentionDays, groupDays, totalBytes, clock, onError } = options;
  const sweep = async (): Promise<void> => {
    const since = (days: number): number => clock.now() - days * dayMs;
    const groups = [...(await groupDays())].map(([group, days]) => [group, since(days)] as const);
    await logs.sweep({ writtenSince: since(retentionDays), groups: new Map(groups), totalBytes });
  };
  return repeatedly(sweep, { intervalMs, clock, onError });
}
