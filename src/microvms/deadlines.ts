import type { Clock } from '../model/clock.ts';

interface Entry {
  readonly id: string;
  readonly at: number;
}

/**
 * One timer for any number of deadlines: a binary heap by time, in which superseded entries stay until they
 * surface. Ten thousand sleeping VMs cost ten thousand heap entries and a single timer.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #onDue: (id: string) => void;
  readonly #heap: Entry[] = [];
  readonly #current = new Map<string, Entry>();
  #cancelTimer: (() => void) | undefined;
  #armedFor = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, onDue: (id: string) => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  /** Replaces the deadline of `id`. @param at milliseconds since the epoch */
  set(id: string, at: number): void {
    const entry = { id, at };
    this.#current.set(id, entry);
    this.#push(entry);
    this.#arm();
  }

  clear(id: string): void {
    this.#current.delete(id);
  }

  close(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#current.clear();
    this.#heap.length = 0;
  }

  #arm(): void {
    const next = this.#peek();
    if (next === undefined || next.at >= this.#armedFor) return;
    this.#cancelTimer?.();
    this.#armedFor = next.at;
    this.#cancelTimer = this.#clock.schedule(Math.max(0, next.at - this.#clock.now()), () => this.#fire());
  }

  #fire(): void {
    this.#cancelTimer = undefined;
    this.#armedFor = Number.POSITIVE_INFINITY;
    const now = this.#clock.now();
    for (let next = this.#peek(); next !== undefined && next.at <= now; next = this.#peek()) {
      this.#pop();
      this.#current.delete(next.id);
      this.#onDue(next.id);
    }
    this.#arm();
  }

  /** The earliest entry that still counts. */
  #peek(): Entry | undefined {
    for (;;) {
      const top = this.#heap[0];
      if (top === undefined || this.#current.get(top.id) === top) return top;
      this.#pop();
    }
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let index = heap.push(entry) - 1;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = heap[parentIndex];
      if (parent === undefined || parent.at <= entry.at) break;
      heap[index] = parent;
      index = parentIndex;
    }
    heap[index] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let childIndex = 2 * index + 1;
      let child = heap[childIndex];
      if (child === undefined) break;
      const right = heap[childIndex + 1];
      if (right !== undefined && right.at < child.at) {
        childIndex += 1;
        child = right;
      }
      if (last.at <= child.at) break;
      heap[index] = child;
      index = childIndex;
    }
    heap[index] = last;
  }
}
