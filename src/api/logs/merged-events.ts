import type { LogStore, StoredLogEvent } from '../../telemetry/log-store.ts';
import { eventSize, largestAnswer } from './event-size.ts';

export interface StreamEvent extends StoredLogEvent {
  readonly stream: string;
}

/** Order of events of many streams: by time, then stream, then place in it. */
export type EventKey = Pick<StreamEvent, 'timestamp' | 'stream' | 'sequence'>;

export interface MergeRequest {
  readonly group: string;
  readonly streams: readonly string[];
  readonly wanted: (event: StreamEvent) => boolean;
  readonly after: EventKey | undefined;
  readonly limit: number;
}

/**
 * The first page of what is wanted after a key, and whether there is more. Streams are read to their ends,
 * because their times need not grow, but no more than about two pages are in memory.
 */
export async function mergeEvents(
  logs: Pick<LogStore, 'scan'>,
  { group, streams, wanted, after, limit }: MergeRequest,
): Promise<{ readonly events: readonly StreamEvent[]; readonly more: boolean }> {
  let gathered: StreamEvent[] = [];
  let size = 0;
  let more = false;
  const trim = (): void => {
    gathered.sort(compareKeys);
    const kept = lengthOfPage(gathered, limit);
    more ||= kept < gathered.length;
    gathered = gathered.slice(0, kept);
    size = gathered.reduce((sum, event) => sum + eventSize(event), 0);
  };
  for (const stream of streams) {
    for await (const stored of logs.scan(group, stream)) {
      const event = { ...stored, stream };
      if (!wanted(event) || (after !== undefined && compareKeys(event, after) <= 0)) continue;
      gathered.push(event);
      size += eventSize(event);
      if (gathered.length > 2 * limit || size > 2 * largestAnswer) trim();
    }
  }
  trim();
  return { events: gathered, more };
}

function lengthOfPage(sorted: readonly StreamEvent[], limit: number): number {
  let size = 0;
  for (const [index, event] of sorted.entries()) {
    size += eventSize(event);
    if (index >= limit || (size > largestAnswer && index > 0)) return index;
  }
  return sorted.length;
}

function compareKeys(a: EventKey, b: EventKey): number {
  if (a.timestamp !== b.timestamp) return a.timestamp - b.timestamp;
  if (a.stream !== b.stream) return a.stream < b.stream ? -1 : 1;
  return a.sequence - b.sequence;
}
