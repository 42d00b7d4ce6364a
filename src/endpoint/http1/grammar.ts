import type { HeaderList } from '../headers.ts';

/** Bytes that are not HTTP/1.1, or that two readers could understand in two ways. */
export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage';
}

/** A head or trailer section beyond its limit. */
export class OversizedMessage extends Error {
  override readonly name = 'OversizedMessage';
}

const tokenCharacters = new Uint8Array(256);
for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
  tokenCharacters[character.charCodeAt(0)] = 1;
}

/** Not in a field value (RFC 9110, section 5.5), nor in one byte: what is beyond would change when it is written. */
const notInText = /[^\t\x20-\x7e\x80-\xff]/;
const notInTarget = /[^\x21-\x7e]/;

export function isToken(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    // Beyond the table there is nothing, which is no token character either.
    if (tokenCharacters[text.charCodeAt(index)] !== 1) return false;
  }
  return text !== '';
}

export function isFieldValue(text: string): boolean {
  return !notInText.test(text);
}

export function isTarget(text: string): boolean {
  return text !== '' && !notInTarget.test(text);
}

/**
 * The line ends that are taken. A bare LF may be one (RFC 9112, section 2.2), but only of an application: what lies
 * between a client and us may have read its request otherwise.
 */
export type LineEnds = 'CR LF' | 'CR LF or LF';

/** The text with CR LF where it has a bare LF. */
export function withStrictLineEnds(text: string): string {
  return text.replaceAll(/\r?\n/g, '\r\n');
}

/**
 * Reads the line of `text` that begins at `at`.
 * @param text ends with a line end
 * @returns the offset of its line end
 * @throws {MalformedMessage} a line end that is not CR LF
 */
export function lineEnd(text: string, at: number): number {
  const end = text.indexOf('\r', at);
  if (end < 0 || text.indexOf('\n', at) !== end + 1) throw new MalformedMessage('a bare CR or LF');
  return end;
}

/**
 * Reads field lines up to the end of `text` (RFC 9112, section 5). There is one way to read them: no folded
 * lines, nothing but a name before the colon, and no control characters.
 * @throws {MalformedMessage}
 */
export function parseFields(text: string, from: number): HeaderList {
  const fields: string[] = [];
  for (let at = from; at < text.length; ) {
    const end = lineEnd(text, at);
    const colon = text.indexOf(':', at);
    if (colon < 0 || colon > end) throw new MalformedMessage('a field line without a colon');
    const name = text.slice(at, colon);
    if (!isToken(name)) throw new MalformedMessage('a field name that is no token');
    const value = trimmed(text, colon + 1, end);
    if (!isFieldValue(value)) throw new MalformedMessage('a control character in a field value');
    fields.push(name, value);
    at = end + 2;
  }
  return fields;
}

/**
 * Field lines as they are written. What is not a field of HTTP/1.1 does not get out, wherever it came from.
 * @throws {MalformedMessage}
 */
export function fieldText(fields: HeaderList): string {
  let text = '';
  for (let index = 0; index + 1 < fields.length; index += 2) {
    const name = fields[index] ?? '';
    const value = fields[index + 1] ?? '';
    if (!isToken(name) || !isFieldValue(value)) throw new MalformedMessage(`the field ${name}`);
    text += `${name}: ${value}\r\n`;
  }
  return text;
}

/** Without the spaces and tabs around it, and no other white space. */
function trimmed(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
