import { tooManyEventReaders } from '../errors.ts';
import { type EventFilter, matchesFilter, type StateEvent } from '../model/event.ts';
import type { EventLog } from '../store/event-log.ts';

/** What a reader meets, in order. */
export type FeedItem =
  | { readonly type: 'event'; readonly event: StateEvent }
  /** Everything up to here was seen or not wanted; there is nothing newer for the moment. */
  | { readonly type: 'position'; readonly sequence: number }
  /** Events after `after` and before `next` are no longer known, or `after` is of another log. */
  | { readonly type: 'gap'; readonly after: number; readonly next: number };

export interface FeedRequest {
  /** Sequence of the last event the reader has seen; 0 for all that is kept. */
  readonly after: number;
  readonly filter: EventFilter;
  /** Whether to go on as events come. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

export type ReadableEvents = Pick<EventLog, 'read' | 'appended' | 'newest' | 'oldest'>;

const batchSize = 200;
const mostReaders = 100;

/** State changes for readers that come and go. Each pulls at its own speed and holds up nobody else. */
export class EventFeed {
  readonly #log: ReadableEvents;
  #readers = 0;

  constructor(log: ReadableEvents) {
    this.#log = log;
  }

  get readers(): number {
    return this.#readers;
  }

  /** Sequence of the newest event. */
  newest(): Promise<number> {
    return this.#log.newest();
  }

  /**
   * Takes a place among the readers.
   * @returns what gives it back
   * @throws {ServiceError} ThrottlingException: all are taken
   */
  enter(): () => void {
    if (this.#readers >= mostReaders) throw tooManyEventReaders(mostReaders);
    this.#readers += 1;
    return () => {
      this.#readers -= 1;
    };
  }

  /** Events after a position, then where they end; then, if it follows, what comes, until the signal aborts. */
  async *read({ after, filter, follow, signal }: FeedRequest): AsyncGenerator<FeedItem> {
    const gap = after === 0 ? undefined : await findGap(this.#log, after);
    if (gap !== undefined) yield { type: 'gap', after, next: gap };
    let position = gap === undefined ? after : gap - 1;
    while (!signal.aborted) {
      const appended = this.#log.appended();
      const batch = await this.#log.read(position, batchSize);
      for (const event of batch) {
        if (matchesFilter(filter, event)) yield { type: 'event', event };
        position = event.sequence;
      }
      if (batch.length === batchSize) continue;
      yield { type: 'position', sequence: position };
      if (!follow) return;
      await orAborted(appended, signal);
    }
  }
}

/** Sequence of the event to go on with where the one after `after` is not there; undefined where it is, or will be. */
export async function findGap(log: ReadableEvents, after: number): Promise<number | undefined> {
  const [oldest, newest] = await Promise.all([log.oldest(), log.newest()]);
  if (oldest === undefined) return after > newest ? newest + 1 : undefined;
  return after < oldest - 1 || after > newest ? oldest : undefined;
}

/** Waits for either; throws nothing. */
export async function orAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = (): void => resolve();
  signal.addEventListener('abort', stop, { once: true });
  await Promise.race([work, promise]);
  signal.removeEventListener('abort', stop);
}
