import { createHash, createHmac } from 'node:crypto';
import type { SignableRequest } from './http-request.ts';
import { parseQuery, uriEncode } from './uri.ts';

export const algorithm = 'AWS4-HMAC-SHA256';
export const emptyBodyHash = sha256Hex('');

/** Where and when a signature is valid: `<date>/<region>/<service>/aws4_request`. */
export interface CredentialScope {
  /** `YYYYMMDD` */
  readonly date: string;
  readonly region: string;
  readonly service: string;
}

export function scopeText(scope: CredentialScope): string {
  return `${scope.date}/${scope.region}/${scope.service}/aws4_request`;
}

/**
 * The canonical request of signature version 4.
 * @param signedHeaders lower-case names in the order of the signature
 * @param payloadHash hex SHA-256 of the body, or one of the `UNSIGNED-` or `STREAMING-` markers
 */
export function canonicalRequest(
  request: SignableRequest,
  scope: CredentialScope,
  signedHeaders: readonly string[],
  payloadHash: string,
): string {
  const headers = signedHeaders.map(
    (name) => `${name}:${(request.headers.get(name) ?? '').trim().replace(/\s+/g, ' ')}\n`,
  );
  return [
    request.method,
    scope.service === 's3' ? request.path : canonicalPath(request.path),
    canonicalQuery(request.query),
    headers.join(''),
    signedHeaders.join(';'),
    payloadHash,
  ].join('\n');
}

/** Dot segments resolved and each segment encoded once more; S3 alone signs the path as it is sent. */
function canonicalPath(path: string): string {
  const segments: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') segments.pop();
    else if (segment !== '' && segment !== '.') segments.push(uriEncode(segment));
  }
  const trailing = segments.length > 0 && path.endsWith('/') ? '/' : '';
  return `/${segments.join('/')}${trailing}`;
}

function canonicalQuery(query: string): string {
  if (query === '') return '';
  return parseQuery(query)
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => [uriEncode(name), uriEncode(value)] as const)
    .sort(([nameA, valueA], [nameB, valueB]) => compare(nameA, nameB) || compare(valueA, valueB))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** @param timestamp `YYYYMMDDTHHMMSSZ` */
export function stringToSign(timestamp: string, scope: CredentialScope, canonical: string): string {
  return [algorithm, timestamp, scopeText(scope), sha256Hex(canonical)].join('\n');
}

const keyCacheLimit = 1000;
const keyCache = new Map<string, Buffer>();

/** Key of one day, region and service; derived four times over, so kept. */
export function signingKey(secretAccessKey: string, scope: CredentialScope): Buffer {
  const cacheKey = `${scopeText(scope)}\n${secretAccessKey}`;
  const known = keyCache.get(cacheKey);
  if (known !== undefined) return known;
  const date = hmac(Buffer.from(`AWS4${secretAccessKey}`), scope.date);
  const key = hmac(hmac(hmac(date, scope.region), scope.service), 'aws4_request');
  if (keyCache.size >= keyCacheLimit) keyCache.clear();
  keyCache.set(cacheKey, key);
  return key;
}

export function sign(key: Buffer, text: string): string {
  return hmac(key, text).toString('hex');
}

export function sha256Hex(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** `YYYYMMDDTHHMMSSZ` of a time in epoch milliseconds. */
export function timestampOf(time: number): string {
  return new Date(time).toISOString().replace(/[-:]|\.\d{3}/g, '');
}

/** Epoch milliseconds of `YYYYMMDDTHHMMSSZ`, or undefined for anything else. */
export function parseTimestamp(timestamp: string): number | undefined {
  const match = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/.exec(timestamp);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(time) ? undefined : time;
}
