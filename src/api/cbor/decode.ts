/** A reader of CBOR (RFC 8949) for small requests from strangers. */

export class CborError extends Error {
  override readonly name = 'CborError';
}

const deepest = 32;
const breakMark = Symbol('break');

/**
 * Reads one document: maps become objects without a prototype, byte strings text, tags are dropped, and with them
 * times become seconds since the epoch.
 * @throws {CborError}
 */
export function decodeCbor(bytes: Buffer): unknown {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  if (value === breakMark || !reader.ended) throw new CborError('not one document');
  return value;
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get ended(): boolean {
    return this.#at === this.#bytes.length;
  }

  value(depth: number): unknown {
    if (depth > deepest) throw new CborError('nested too deeply');
    const first = this.#take(1).readUInt8();
    const major = first >> 5;
    const info = first & 31;
    if (major === 7) return this.#simple(info);
    if (info === 31) return this.#indefinite(major, depth);
    const argument = this.#argument(info);
    switch (major) {
      case 0:
        return argument;
      case 1:
        return -1 - argument;
      case 2:
      case 3:
        return this.#take(argument).toString('utf8');
      case 4:
        return this.#list(depth, argument);
      case 5:
        return this.#map(depth, argument);
      default:
        return this.#item(depth);
    }
  }

  #indefinite(major: number, depth: number): unknown {
    if (major === 4) return this.#list(depth, undefined);
    if (major === 5) return this.#map(depth, undefined);
    if (major === 2 || major === 3) return this.#list(depth, undefined).join('');
    throw new CborError('unknown form');
  }

  #list(depth: number, count: number | undefined): unknown[] {
    const items: unknown[] = [];
    while (count === undefined || items.length < count) {
      const item = this.value(depth + 1);
      if (item === breakMark) {
        if (count === undefined) return items;
        throw new CborError('ends too early');
      }
      items.push(item);
    }
    return items;
  }

  #map(depth: number, count: number | undefined): object {
    const entries: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
    for (let read = 0; count === undefined || read < count; read += 1) {
      const key = this.value(depth + 1);
      if (key === breakMark && count === undefined) return entries;
      if (typeof key !== 'string') throw new CborError('a key is no text');
      entries[key] = this.#item(depth);
    }
    return entries;
  }

  #item(depth: number): unknown {
    const item = this.value(depth + 1);
    if (item === breakMark) throw new CborError('ends too early');
    return item;
  }

  #simple(info: number): unknown {
    switch (info) {
      case 20:
        return false;
      case 21:
        return true;
      case 22:
      case 23:
        return null;
      case 25:
        return half(this.#take(2).readUInt16BE());
      case 26:
        return this.#take(4).readFloatBE();
      case 27:
        return this.#take(8).readDoubleBE();
      case 31:
        return breakMark;
      default:
        throw new CborError('unknown form');
    }
  }

  #argument(info: number): number {
    if (info < 24) return info;
    if (info === 24) return this.#take(1).readUInt8();
    if (info === 25) return this.#take(2).readUInt16BE();
    if (info === 26) return this.#take(4).readUInt32BE();
    if (info === 27) return Number(this.#take(8).readBigUInt64BE());
    throw new CborError('unknown form');
  }

  #take(count: number): Buffer {
    if (count > this.#bytes.length - this.#at) throw new CborError('ends too early');
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }
}

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
