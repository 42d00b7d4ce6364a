import { type HeaderList, membersOf, valuesOf } from '../headers.ts';
import { type BodyDecoder, ChunkedDecoder, EndlessDecoder, LengthDecoder } from './body-decoder.ts';
import { MalformedMessage } from './grammar.ts';
import type { RequestHead, ResponseHead } from './head.ts';

/** A coding before or in place of `chunked`. */
export class UnsupportedCoding extends Error {
  override readonly name = 'UnsupportedCoding';
}

/**
 * How the body of a request is delimited (RFC 9112, section 6.3), or undefined when it has none.
 * @throws {MalformedMessage} two answers are possible
 * @throws {UnsupportedCoding}
 */
export function requestBody(head: RequestHead, trailerBytes: number): BodyDecoder | undefined {
  const length = lengthOf(head.fields);
  if (isChunked(head, length)) return new ChunkedDecoder(trailerBytes);
  return length === undefined ? undefined : new LengthDecoder(length);
}

/**
 * How the body of a response is delimited, or undefined when it has none.
 * @throws {MalformedMessage} two answers are possible
 * @throws {UnsupportedCoding}
 */
export function responseBody(
  head: ResponseHead,
  method: string,
  trailerBytes: number,
): BodyDecoder | undefined {
  const length = lengthOf(head.fields);
  const chunked = isChunked(head, length);
  if (method === 'HEAD' || head.status === 204 || head.status === 304) return undefined;
  if (chunked) return new ChunkedDecoder(trailerBytes);
  if (length === undefined) return new EndlessDecoder();
  return length === 0 ? undefined : new LengthDecoder(length);
}

/** Whether the connection may carry another message after this one. */
export function isPersistent(head: Pick<RequestHead, 'version' | 'fields'>): boolean {
  const options = membersOf(head.fields, 'connection');
  const has = (name: string): boolean => options.some((option) => option.toLowerCase() === name);
  return !has('close') && (head.version === '1.1' || has('keep-alive'));
}

function lengthOf(fields: HeaderList): number | undefined {
  const values = valuesOf(fields, 'content-length');
  if (values.length === 0) return undefined;
  const text = values[0] ?? '';
  if (values.length > 1 || !/^\d{1,15}$/.test(text)) throw new MalformedMessage('the content length');
  return Number(text);
}

function isChunked(head: Pick<RequestHead, 'version' | 'fields'>, length: number | undefined): boolean {
  const values = valuesOf(head.fields, 'transfer-encoding');
  if (values.length === 0) return false;
  if (length !== undefined) throw new MalformedMessage('a length and a coding');
  if (head.version === '1.0') throw new MalformedMessage('a coding in HTTP/1.0');
  if (values.length > 1 || values[0]?.toLowerCase() !== 'chunked')
    throw new UnsupportedCoding('not only chunked');
  return true;
}
