import { sql } from 'kysely';
import type { EventSubject, StateChange, StateEvent } from '../model/event.ts';
import type { Store } from './database.ts';
import { dialectOf } from './dialect.ts';
import { EventTail } from './event-tail.ts';
import type { EventRow } from './schema.ts';

/** Takes what happened in a transaction; it is stored with the transaction or not at all. */
export type Emit = (time: number, ...changes: readonly StateChange[]) => void;

export interface EventRetention {
  /** Events kept at most. */
  readonly count: number;
  /** Events from before then, in milliseconds since the epoch, are removed. */
  readonly since: number;
}

/** Rows removed by one statement: it holds everything else up while it runs. */
const pruneBatch = 1000;
/** Events kept in memory for readers that have come to the end. */
const tailEvents = 1000;

/**
 * State changes in the order they happened, kept for a while. One log of a store writes; others may read. Readers pull: one that is slow holds nobody up and
 * finds everything it has not seen, unless that was removed meanwhile.
 */
export class EventLog {
  readonly #store: Store;
  readonly #tail = new EventTail(tailEvents);
  #appended = Promise.withResolvers<void>();
  /** Whether events may have been stored that no reader was told of. */
  #inDoubt = false;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Runs one transaction; what it emits is stored with it, at its end, and seen by readers after it. */
  async transaction<Result>(
    work: (transaction: Store, emit: Emit) => Result | Promise<Result>,
  ): Promise<Result> {
    const emitted: StateEvent[] = [];
    let result: Result;
    try {
      result = await this.#transaction(work, emitted);
    } catch (error) {
      if (emitted.length > 0) this.#doubt();
      throw error;
    }
    this.#tail.append(emitted);
    if (emitted.length > 0 || this.#inDoubt) this.#announce();
    return result;
  }

  /** @param emitted takes the events with their sequences, before they are committed */
  async #transaction<Result>(
    work: (transaction: Store, emit: Emit) => Result | Promise<Result>,
    emitted: StateEvent[],
  ): Promise<Result> {
    return await this.#store.transaction().execute(async (transaction) => {
      const changes: (readonly [StateChange, number])[] = [];
      const done = await work(transaction, (time, ...more) => {
        changes.push(...more.map((change) => [change, time] as const));
      });
      if (changes.length > 0) await takeTurn(transaction);
      for (const [change, time] of changes) {
        const { sequence } = await transaction
          .insertInto('events')
          .values(toRow(change, time))
          .returning('sequence')
          .executeTakeFirstOrThrow();
        emitted.push({ ...change, sequence, time });
      }
      return done;
    });
  }

  /** Events after a sequence, oldest first. */
  async read(after: number, limit: number): Promise<readonly StateEvent[]> {
    const known = this.#tail.read(after, limit);
    if (known !== undefined) return known;
    const rows = await this.#store
      .selectFrom('events')
      .selectAll()
      .where('sequence', '>', after)
      .orderBy('sequence')
      .limit(limit)
      .execute();
    return rows.map(fromRow);
  }

  /** Resolves when there may be more than there was at the time of the call. */
  appended(): Promise<void> {
    return this.#appended.promise;
  }

  /** Sequence of the newest event that ever was; 0 before there was one. */
  async newest(): Promise<number> {
    const row = await this.#store
      .selectFrom('events')
      .select((select) => select.fn.max<number | null>('sequence').as('newest'))
      .executeTakeFirst();
    return Number(row?.newest ?? 0);
  }

  /** Sequence of the oldest event that is still kept; undefined when there is none. */
  async oldest(): Promise<number | undefined> {
    const row = await this.#store
      .selectFrom('events')
      .select('sequence')
      .orderBy('sequence')
      .limit(1)
      .executeTakeFirst();
    return row?.sequence;
  }

  /** Removes what retention no longer covers, but never the newest event: it tells where the log is. */
  async prune({ count, since }: EventRetention): Promise<void> {
    const newest = await this.newest();
    const old = await this.#store
      .selectFrom('events')
      .select((select) => select.fn.max<number | null>('sequence').as('last'))
      .where('time', '<', since)
      .executeTakeFirst();
    const last = Math.min(Math.max(newest - count, Number(old?.last ?? 0)), newest - 1);
    this.#tail.forget(last);
    for (;;) {
      const oldest = await this.oldest();
      if (oldest === undefined || oldest > last) return;
      await this.#store
        .deleteFrom('events')
        .where('sequence', '<=', Math.min(last, oldest + pruneBatch))
        .execute();
    }
  }

  /** The answer to a commit may have been lost, and not the commit: readers ask the database, once it serves again. */
  #doubt(): void {
    this.#tail.lose();
    this.#inDoubt = true;
  }

  #announce(): void {
    this.#inDoubt = false;
    this.#appended.resolve();
    this.#appended = Promise.withResolvers();
  }
}

/** Any number that nobody else uses as a lock in a database of ours. */
const turnLock = 7_300_412;

/**
 * Waits until no other transaction is between its first event and its commit. SQLite has one transaction at a time
 * anyway; PostgreSQL has many, and one that draws its sequences early and commits late would be passed over by readers
 * that have seen later ones. It comes last in a transaction, so that whoever waits holds up nothing but events.
 */
async function takeTurn(transaction: Store): Promise<void> {
  if (dialectOf(transaction) === 'postgres') {
    await sql`select pg_advisory_xact_lock(${turnLock})`.execute(transaction);
  }
}

function toRow(change: StateChange, time: number): Omit<EventRow, 'sequence'> {
  return {
    time,
    subject: change.subject,
    microvm_id: change.microvmId,
    image_arn: change.imageArn,
    image_version: change.imageVersion,
    build_id: change.buildId,
    from_state: change.from,
    to_state: change.to,
    reason: change.reason,
  };
}

function fromRow(row: EventRow): StateEvent {
  return {
    sequence: row.sequence,
    time: row.time,
    subject: row.subject as EventSubject,
    microvmId: row.microvm_id,
    imageArn: row.image_arn,
    imageVersion: row.image_version,
    buildId: row.build_id,
    from: row.from_state,
    to: row.to_state,
    reason: row.reason,
  };
}
