import { invalidUri } from '../../s3/s3-error.ts';
import type { Caller } from '../authorization/access.ts';
import type { ClaimedExchange } from '../http/exchange.ts';
import type { Api } from '../operation.ts';
import { type QueryParameter, queryValue, uriDecode } from '../sigv4/uri.ts';

/** A verified request to the artifact bucket. */
export interface S3Request extends ClaimedExchange {
  readonly api: Api;
  readonly caller: Caller;
  /** Empty for requests about all buckets. */
  readonly bucket: string;
  /** Empty for requests about a bucket. */
  readonly key: string;
  readonly queryParameters: readonly QueryParameter[];
  /** Hash or marker the signature vouches for. */
  readonly payloadHash: string;
  readonly signingKey: Buffer;
}

export function header(request: Pick<S3Request, 'request'>, name: string): string | undefined {
  return request.request.headers.get(name);
}

export function query(request: Pick<S3Request, 'queryParameters'>, name: string): string | undefined {
  return queryValue(request.queryParameters, name);
}

/** Bucket and key of a path-style URL. @throws {S3Error} InvalidURI */
export function splitPath(path: string): { readonly bucket: string; readonly key: string } {
  const place = placeIn(path);
  if (`${place.bucket}/${place.key}`.includes('\0')) throw invalidUri();
  return place;
}

function placeIn(path: string): { readonly bucket: string; readonly key: string } {
  const text = path.startsWith('/') ? path.slice(1) : path;
  const slash = text.indexOf('/');
  if (slash === -1) return { bucket: uriDecode(text), key: '' };
  return { bucket: uriDecode(text.slice(0, slash)), key: uriDecode(text.slice(slash + 1)) };
}
