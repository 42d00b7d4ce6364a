import { staticTable } from './static-table.ts';

/** What an entry takes besides its name and value (RFC 7541, section 4.1). */
export const entryOverhead = 32;

/** The entries that the other side added, newest first (RFC 7541, section 2.3.2). */
export class DynamicTable {
  /** Grows with every change: what was read of a block that changed nothing holds as long as this is the same. */
  generation = 0;
  /** A ring: names and values, in the order they came. */
  #entries: (string | undefined)[] = [];
  /** Place of the oldest entry. */
  #first = 0;
  #size = 0;
  #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Bytes that the entries take. */
  get size(): number {
    return this.#size;
  }

  get length(): number {
    return (this.#entries.length - this.#first) / 2;
  }

  resize(limit: number): void {
    this.#limit = limit;
    this.generation += 1;
    this.#evict(0);
  }

  /** An entry larger than the table empties it, which is no error. */
  add(name: string, value: string): void {
    const size = name.length + value.length + entryOverhead;
    this.generation += 1;
    this.#evict(size);
    if (size > this.#limit) return;
    this.#entries.push(name, value);
    this.#size += size;
  }

  /** @param index counted from 1, the static table first; undefined when there is no such entry */
  name(index: number): string | undefined {
    const entry = staticTable[index - 1];
    if (entry !== undefined) return entry[0];
    return this.#entries[this.#place(index)];
  }

  value(index: number): string | undefined {
    const entry = staticTable[index - 1];
    if (entry !== undefined) return entry[1];
    return this.#entries[this.#place(index) + 1];
  }

  #place(index: number): number {
    const place = this.#entries.length - 2 * (index - staticTable.length);
    return index > staticTable.length && place >= this.#first ? place : -2;
  }

  #evict(wanted: number): void {
    while (this.#size > 0 && this.#size + wanted > this.#limit) {
      const name = this.#entries[this.#first] ?? '';
      const value = this.#entries[this.#first + 1] ?? '';
      this.#size -= name.length + value.length + entryOverhead;
      this.#entries[this.#first] = undefined;
      this.#entries[this.#first + 1] = undefined;
      this.#first += 2;
    }
    // Gives the places of what is gone back, not one by one.
    if (this.#first > 128 && this.#first * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
  }
}
