import { type HeaderList, membersOf, valuesOf } from '../headers.ts';
import { type BodyDecoder, ChunkedDecoder, EndlessDecoder, LengthDecoder } from './body-decoder.ts';
import { type LineEnds, MalformedMessage } from './grammar.ts';

export type Version = '1.0' | '1.1';

/** How a body is delimited: a length in bytes, the chunked coding, or the end of its connection. */
export type Framing = number | 'chunked' | 'endless';

/** A coding before or in place of `chunked`. */
export class UnsupportedCoding extends Error {
  override readonly name = 'UnsupportedCoding';
}

/**
 * What the headers of a message say of its body (RFC 9112, section 6.3), or undefined when they say nothing.
 * @throws {MalformedMessage} two answers are possible
 * @throws {UnsupportedCoding}
 */
export function announcedFraming(version: Version, fields: HeaderList): number | 'chunked' | undefined {
  const lengths = valuesOf(fields, 'content-length');
  const codings = valuesOf(fields, 'transfer-encoding');
  if (codings.length > 0) {
    if (lengths.length > 0) throw new MalformedMessage('a length and a coding');
    if (version === '1.0') throw new MalformedMessage('a coding in HTTP/1.0');
    if (codings.length === 1 && codings[0]?.toLowerCase() === 'chunked') return 'chunked';
    throw new UnsupportedCoding('not only chunked');
  }
  const [length] = lengths;
  if (length === undefined) return undefined;
  if (lengths.length > 1 || !/^\d{1,15}$/.test(length)) throw new MalformedMessage('the content length');
  return Number(length);
}

/** @returns undefined for a body without content */
export function decoderOf(
  framing: Framing,
  trailerBytes: number,
  lineEnds: LineEnds = 'CR LF',
): BodyDecoder | undefined {
  if (framing === 'chunked') return new ChunkedDecoder(trailerBytes, lineEnds);
  if (framing === 'endless') return new EndlessDecoder();
  return framing === 0 ? undefined : new LengthDecoder(framing);
}

/** Whether the connection may carry another message after this one. */
export function isPersistent(version: Version, fields: HeaderList): boolean {
  const options = membersOf(fields, 'connection').map((option) => option.toLowerCase());
  return !options.includes('close') && (version === '1.1' || options.includes('keep-alive'));
}
