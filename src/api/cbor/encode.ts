/** A minimal writer of CBOR (RFC 8949), enough for answers of the RPC v2 protocol. */

/** A moment on the wire; epoch milliseconds. */
export class CborTime {
  readonly milliseconds: number;

  constructor(milliseconds: number) {
    this.milliseconds = milliseconds;
  }
}

export type CborValue =
  | null
  | boolean
  | number
  | string
  | CborTime
  | readonly CborValue[]
  | { readonly [key: string]: CborValue | undefined };

/** Members of objects that are undefined are left out. */
export function encodeCbor(value: CborValue): Buffer {
  const parts: Buffer[] = [];
  write(value, parts);
  return Buffer.concat(parts);
}

function write(value: CborValue, parts: Buffer[]): void {
  if (value === null) parts.push(Buffer.from([0xf6]));
  else if (typeof value === 'boolean') parts.push(Buffer.from([value ? 0xf5 : 0xf4]));
  else if (typeof value === 'number') parts.push(number(value));
  else if (typeof value === 'string') writeText(value, parts);
  else if (value instanceof CborTime) parts.push(Buffer.from([0xc1]), double(value.milliseconds / 1000));
  else if (isList(value)) {
    parts.push(head(4, value.length));
    for (const item of value) write(item, parts);
  } else {
    const entries = Object.entries(value).flatMap(([key, item]) =>
      item === undefined ? [] : [[key, item] as const],
    );
    parts.push(head(5, entries.length));
    for (const [key, item] of entries) {
      writeText(key, parts);
      write(item, parts);
    }
  }
}

function isList(value: CborValue): value is readonly CborValue[] {
  return Array.isArray(value);
}

function writeText(text: string, parts: Buffer[]): void {
  const bytes = Buffer.from(text);
  parts.push(head(3, bytes.length), bytes);
}

function number(value: number): Buffer {
  if (!Number.isSafeInteger(value) || Object.is(value, -0)) return double(value);
  return value >= 0 ? head(0, value) : head(1, -1 - value);
}

function double(value: number): Buffer {
  const bytes = Buffer.alloc(9, 0xfb);
  bytes.writeDoubleBE(value, 1);
  return bytes;
}

/** Major type and argument. */
function head(major: number, argument: number): Buffer {
  const first = major << 5;
  if (argument < 24) return Buffer.from([first | argument]);
  const [marker, size] = argument < 0x100 ? [24, 1] : argument < 0x1_0000 ? [25, 2] : [26, 4];
  if (argument < 0x1_0000_0000) {
    const bytes = Buffer.alloc(1 + size, first | marker);
    bytes.writeUIntBE(argument, 1, size);
    return bytes;
  }
  const bytes = Buffer.alloc(9, first | 27);
  bytes.writeBigUInt64BE(BigInt(argument), 1);
  return bytes;
}
