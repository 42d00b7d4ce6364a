import type { HeaderList } from '../../headers.ts';
import { isFieldValue, isToken, MalformedMessage } from '../../http1/grammar.ts';
import { encodeHuffman, huffmanLength } from './huffman.ts';
import { staticTable } from './static-table.ts';

/**
 * Header blocks, as texts in Latin-1. Only the static table is used: what a block says does not depend on the
 * connection or on the blocks before it, so that the fields of a response that comes again are encoded once.
 */

/** Begins the first block of a connection: the table that is not used need not be kept (RFC 7541, section 6.3). */
export const noTable = '\x20';

const indexByName = new Map<string, number>();
const indexByField = new Map<string, number>();
for (const [place, [name, value]] of staticTable.entries()) {
  if (!indexByName.has(name)) indexByName.set(name, place + 1);
  if (value !== '') indexByField.set(`${name}\n${value}`, place + 1);
}

/** Fields that others must not put into their tables either (RFC 7541, section 7.1.3). */
const secret: ReadonlySet<string> = new Set(['set-cookie', 'authorization', 'proxy-authenticate']);

const statuses = new Map<number, string>();

/** The pseudo-header that begins a response. */
export function statusBlock(status: number): string {
  let block = statuses.get(status);
  if (block === undefined) {
    block = field(':status', String(status));
    if (statuses.size < 1000) statuses.set(status, block);
  }
  return block;
}

/**
 * @param list with names in any case
 * @throws {MalformedMessage} a field that no version of HTTP has words for
 */
export function fieldsBlock(list: HeaderList): string {
  let block = '';
  for (let index = 0; index + 1 < list.length; index += 2) {
    const name = (list[index] ?? '').toLowerCase();
    const value = list[index + 1] ?? '';
    if (!isToken(name) || !isFieldValue(value)) throw new MalformedMessage(`the field ${name}`);
    block += field(name, value);
  }
  return block;
}

/**
 * A field with another value each time: encoding that is not worth the bytes that would be saved.
 * @param name as {@link fieldName} made it
 */
export function uniqueField(name: string, value: string): string {
  return name + integer(0x00, 7, value.length) + value;
}

/** The name of a {@link uniqueField}. */
export function fieldName(name: string): string {
  return literalName(name, 0x00);
}

function field(name: string, value: string): string {
  const index = indexByField.get(`${name}\n${value}`);
  if (index !== undefined) return integer(0x80, 7, index);
  return `${literalName(name, secret.has(name) ? 0x10 : 0x00)}${string(value)}`;
}

function literalName(name: string, pattern: number): string {
  const index = indexByName.get(name);
  return index === undefined ? String.fromCharCode(pattern) + string(name) : integer(pattern, 4, index);
}

function string(text: string): string {
  const coded = huffmanLength(text);
  return coded < text.length
    ? integer(0x80, 7, coded) + encodeHuffman(text)
    : integer(0x00, 7, text.length) + text;
}

/** A number behind the bits of a pattern (RFC 7541, section 5.1). */
function integer(pattern: number, prefix: number, value: number): string {
  const most = (1 << prefix) - 1;
  if (value < most) return String.fromCharCode(pattern | value);
  let text = String.fromCharCode(pattern | most);
  let rest = value - most;
  for (; rest >= 0x80; rest >>>= 7) text += String.fromCharCode((rest & 0x7f) | 0x80);
  return text + String.fromCharCode(rest);
}
