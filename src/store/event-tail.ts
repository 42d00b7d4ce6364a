import type { StateEvent } from '../model/event.ts';

/**
 * The newest events in memory, so that many readers at the end of the log do not ask the database once each. It
 * knows from where on it has all of them, and answers for nothing before.
 */
export class EventTail {
  readonly #most: number;
  #events: StateEvent[] = [];
  /** All events after this one are here; undefined while it is not known whether any are missing. */
  #after: number | undefined;

  /** @param most events kept, or a few more */
  constructor(most: number) {
    this.#most = most;
  }

  /** Takes events that were stored just now, in their order. */
  append(events: readonly StateEvent[]): void {
    const [first] = events;
    if (first === undefined) return;
    const last = this.#events.at(-1)?.sequence ?? this.#after;
    if (last === undefined || first.sequence > last + 1) {
      // Somebody else wrote as well: what came before is not all there was.
      this.#events = [];
      this.#after = first.sequence - 1;
    } else if (first.sequence <= last) {
      // Out of order: nothing here can be relied on.
      this.lose();
      return;
    }
    this.#events.push(...events);
    if (this.#events.length >= 2 * this.#most) this.#dropBefore(this.#events.length - this.#most);
  }

  /** Events after a sequence, oldest first; undefined where only the database knows. */
  read(after: number, limit: number): readonly StateEvent[] | undefined {
    if (this.#after === undefined || after < this.#after) return undefined;
    const start = this.#events.findIndex(({ sequence }) => sequence > after);
    return start === -1 ? [] : this.#events.slice(start, start + limit);
  }

  /** Forgets events up to a sequence, that one too. */
  forget(sequence: number): void {
    if (this.#after === undefined || sequence <= this.#after) return;
    const kept = this.#events.findIndex((event) => event.sequence > sequence);
    this.#dropBefore(kept === -1 ? this.#events.length : kept);
  }

  /** Something may have been stored that nobody told of: only the database knows what there is. */
  lose(): void {
    this.#events = [];
    this.#after = undefined;
  }

  #dropBefore(index: number): void {
    this.#after = this.#events[index - 1]?.sequence ?? this.#after;
    this.#events = this.#events.slice(index);
  }
}
