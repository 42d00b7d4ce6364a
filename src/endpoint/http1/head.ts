import { STATUS_CODES } from 'node:http';
import { Fields, RequestFields } from '../fields.ts';
import { type HeaderList, membersOf, valuesOf } from '../headers.ts';
import { announcedFraming, type Framing, isPersistent, type Version } from './framing.ts';
import {
  fieldText,
  isFieldValue,
  isTarget,
  isToken,
  lineEnd,
  MalformedMessage,
  parseFields,
  withStrictLineEnds,
} from './grammar.ts';

/** All of a request's head but the method and the target, which is mostly that of the request before. */
export interface RequestSection {
  /** From the version on. */
  readonly text: string;
  readonly version: Version;
  readonly fields: RequestFields;
  /** Undefined for a request without a body. */
  readonly framing: number | 'chunked' | undefined;
  readonly persistent: boolean;
  /** The client asks for another protocol. */
  readonly upgrade: boolean;
}

export interface RequestHead {
  readonly method: string;
  readonly target: string;
  readonly section: RequestSection;
}

export interface ResponseHead {
  /** As it came. */
  readonly text: string;
  readonly status: number;
  readonly reason: string;
  readonly fields: Fields;
  readonly framing: Framing;
  /** Value of content-length, when there is one. */
  readonly length: string | undefined;
  readonly persistent: boolean;
}

/**
 * @param text the head without the empty line that ends it
 * @param last of the request before on the connection
 * @throws {MalformedMessage | UnsupportedCoding}
 */
export function parseRequestHead(text: string, last?: RequestSection): RequestHead {
  const first = text.indexOf(' ');
  const second = text.indexOf(' ', first + 1);
  const method = text.slice(0, Math.max(0, first));
  const target = text.slice(first + 1, Math.max(0, second));
  if (second < 0 || !isToken(method) || !isTarget(target)) throw new MalformedMessage('the request line');
  const rest = text.slice(second + 1);
  return { method, target, section: last?.text === rest ? last : parseRequestSection(rest) };
}

function parseRequestSection(text: string): RequestSection {
  const end = lineEnd(text, 0);
  const version = versionOf(text.slice(0, end));
  const fields = new RequestFields(parseFields(text, end + 2));
  const { list } = fields;
  if (version === '1.1' && valuesOf(list, 'host').length === 0) throw new MalformedMessage('no host');
  const upgrade =
    valuesOf(list, 'upgrade').length > 0 &&
    membersOf(list, 'connection').some((option) => option.toLowerCase() === 'upgrade');
  const framing = announcedFraming(version, list);
  return { text, version, fields, framing, persistent: isPersistent(version, list), upgrade };
}

/**
 * @param received the head without the empty line that ends it; its lines may end with a bare LF
 * @param last the response before on the connection
 * @throws {MalformedMessage | UnsupportedCoding}
 */
export function parseResponseHead(received: string, last?: ResponseHead): ResponseHead {
  if (last?.text === received) return last;
  const text = withStrictLineEnds(received);
  const end = lineEnd(text, 0);
  const status = text.slice(9, 12);
  const reason = text.slice(13, end);
  // The reason may be missing, and many leave out the space before it as well.
  const separated = text[8] === ' ' && (end === 12 || text[12] === ' ');
  if (!separated || !/^\d{3}$/.test(status) || !isFieldValue(reason)) {
    throw new MalformedMessage('the status line');
  }
  const version = versionOf(text.slice(0, 8));
  const fields = new Fields(parseFields(text, end + 2));
  return {
    text: received,
    status: Number(status),
    reason,
    fields,
    framing: announcedFraming(version, fields.list) ?? 'endless',
    length: valuesOf(fields.list, 'content-length')[0],
    persistent: isPersistent(version, fields.list),
  };
}

/** @throws {MalformedMessage} HTTP/1.1 has no way to say it */
export function requestLine(method: string, target: string): string {
  if (!isToken(method) || !isTarget(target)) throw new MalformedMessage('the request line');
  return `${method} ${target} HTTP/1.1\r\n`;
}

/** @throws {MalformedMessage} HTTP/1.1 has no way to say it */
export function requestHeadText(method: string, target: string, fields: HeaderList): string {
  return `${requestLine(method, target)}${fieldText(fields)}\r\n`;
}

/** @param reason replaced by the usual one where it cannot be written */
export function statusLine(status: number, reason: string): string {
  const shown = /^[\t\x20-\x7e]+$/.test(reason) ? reason : (STATUS_CODES[status] ?? '');
  return `HTTP/1.1 ${status} ${shown}\r\n`;
}

/** @throws {MalformedMessage} HTTP/1.1 has no way to say it */
export function responseHeadText(status: number, fields: HeaderList): string {
  return `${statusLine(status, '')}${fieldText(fields)}\r\n`;
}

function versionOf(text: string): Version {
  if (text === 'HTTP/1.1') return '1.1';
  if (text === 'HTTP/1.0') return '1.0';
  throw new MalformedMessage('not a version of HTTP/1');
}
