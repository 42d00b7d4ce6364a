import { ConnectionError, errorCodes } from '../errors.ts';
import { DynamicTable, entryOverhead } from './dynamic-table.ts';
import { decodeHuffman, mostDecoded } from './huffman.ts';

/** Table size that is ours unless we say otherwise, which we do not (RFC 9113, section 6.5.2). */
const tableBytes = 4096;

/** What a header block says. */
export interface DecodedBlock {
  /** Names and values, one after the other, in Latin-1. */
  readonly list: readonly string[];
  /** The list is longer than allowed, and not complete. */
  readonly oversized: boolean;
}

/** Holds a string while it is decoded, for all connections. */
let scratch: Buffer = Buffer.allocUnsafeSlow(4096);

/** Reads the header blocks of one connection, in their order (RFC 7541). */
export class HpackDecoder {
  readonly #table = new DynamicTable(tableBytes);
  readonly #mostBytes: number;
  /** The block that is read. */
  #block: Buffer = nothing;
  #at = 0;

  /** @param mostBytes of a list, as HTTP/2 counts it: 32 for each field besides name and value */
  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** Changes whenever the meaning of a block may have changed. */
  get generation(): number {
    return this.#table.generation;
  }

  /** @throws {ConnectionError} the block is broken; no other can be read after it */
  decode(block: Buffer): DecodedBlock {
    this.#block = block;
    this.#at = 0;
    const list: string[] = [];
    let size = 0;
    let begun = false;
    while (this.#at < block.length) {
      const first = block[this.#at] ?? 0;
      if ((first & 0xe0) === 0x20) {
        if (begun) throw broken('a table size behind a field');
        this.#resize();
        continue;
      }
      begun = true;
      let name: string;
      let value: string;
      if (first >= 0x80) {
        const index = this.#integer(7);
        name = this.#known(this.#table.name(index));
        value = this.#known(this.#table.value(index));
      } else {
        const indexed = (first & 0x40) !== 0;
        const index = this.#integer(indexed ? 6 : 4);
        name = index === 0 ? this.#string() : this.#known(this.#table.name(index));
        value = this.#string();
        if (indexed) this.#table.add(name, value);
      }
      // What is too long is read all the same: the blocks behind it build on it.
      size += name.length + value.length + entryOverhead;
      if (size <= this.#mostBytes) list.push(name, value);
    }
    return { list, oversized: size > this.#mostBytes };
  }

  #resize(): void {
    const limit = this.#integer(5);
    if (limit > tableBytes) throw broken('a table larger than agreed');
    this.#table.resize(limit);
  }

  #known(text: string | undefined): string {
    if (text === undefined) throw broken('an index of nothing');
    return text;
  }

  /** @param prefix bits of the first byte that belong to the number (RFC 7541, section 5.1) */
  #integer(prefix: number): number {
    const most = (1 << prefix) - 1;
    let value = this.#byte() & most;
    if (value < most) return value;
    // Nothing here is larger than 28 bits.
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.#byte();
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw broken('a number too large');
  }

  #string(): string {
    const coded = ((this.#block[this.#at] ?? 0) & 0x80) !== 0;
    const length = this.#integer(7);
    const from = this.#at;
    const to = from + length;
    if (to > this.#block.length) throw broken('a string beyond the block');
    this.#at = to;
    if (!coded) return this.#block.toString('latin1', from, to);
    if (scratch.length < mostDecoded(length)) scratch = Buffer.allocUnsafeSlow(mostDecoded(length));
    const written = decodeHuffman(this.#block, from, to, scratch);
    if (written < 0) throw broken('a string that is no Huffman code');
    return scratch.toString('latin1', 0, written);
  }

  #byte(): number {
    const byte = this.#block[this.#at];
    if (byte === undefined) throw broken('a block that ends too soon');
    this.#at += 1;
    return byte;
  }
}

function broken(what: string): ConnectionError {
  return new ConnectionError(errorCodes.compression, what);
}

const nothing: Buffer = Buffer.alloc(0);
