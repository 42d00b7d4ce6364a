import { STATUS_CODES } from 'node:http';
import type { HeaderList } from '../headers.ts';
import {
  fieldText,
  isFieldValue,
  isTarget,
  isToken,
  lineEnd,
  MalformedMessage,
  parseFields,
} from './grammar.ts';

export interface RequestHead {
  readonly method: string;
  readonly target: string;
  readonly version: '1.0' | '1.1';
  readonly fields: HeaderList;
}

export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly version: '1.0' | '1.1';
  readonly fields: HeaderList;
}

/**
 * @param text the head without the empty line that ends it
 * @throws {MalformedMessage}
 */
export function parseRequestHead(text: string): RequestHead {
  const end = lineEnd(text, 0);
  const first = text.indexOf(' ');
  const second = text.indexOf(' ', first + 1);
  const method = text.slice(0, Math.max(0, first));
  const target = text.slice(first + 1, Math.max(0, second));
  if (second < 0 || second > end || !isToken(method) || !isTarget(target)) {
    throw new MalformedMessage('the request line');
  }
  return {
    method,
    target,
    version: versionOf(text.slice(second + 1, end)),
    fields: parseFields(text, end + 2),
  };
}

/**
 * @param text the head without the empty line that ends it
 * @throws {MalformedMessage}
 */
export function parseResponseHead(text: string): ResponseHead {
  const end = lineEnd(text, 0);
  const status = text.slice(9, 12);
  const reason = text.slice(13, end);
  // The reason may be missing, and many leave out the space before it as well.
  const separated = text[8] === ' ' && (end === 12 || text[12] === ' ');
  if (!separated || !/^\d{3}$/.test(status) || !isFieldValue(reason))
    throw new MalformedMessage('the status line');
  return {
    status: Number(status),
    reason,
    version: versionOf(text.slice(0, 8)),
    fields: parseFields(text, end + 2),
  };
}

/** @throws {MalformedMessage} HTTP/1.1 has no way to say it */
export function requestHeadText(method: string, target: string, fields: HeaderList): string {
  if (!isToken(method) || !isTarget(target)) throw new MalformedMessage('the request line');
  return `${method} ${target} HTTP/1.1\r\n${fieldText(fields)}\r\n`;
}

/**
 * @param reason replaced by the usual one where it cannot be written
 * @throws {MalformedMessage} HTTP/1.1 has no way to say it
 */
export function responseHeadText(status: number, reason: string, fields: HeaderList): string {
  const shown = /^[\t\x20-\x7e]+$/.test(reason) ? reason : (STATUS_CODES[status] ?? '');
  return `HTTP/1.1 ${status} ${shown}\r\n${fieldText(fields)}\r\n`;
}

function versionOf(text: string): '1.0' | '1.1' {
  if (text === 'HTTP/1.1') return '1.1';
  if (text === 'HTTP/1.0') return '1.0';
  throw new MalformedMessage('not a version of HTTP/1');
}
