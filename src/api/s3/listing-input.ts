import { S3Error } from '../../s3/s3-error.ts';
import { uriEncode } from '../sigv4/uri.ts';

const largestPage = 1000;

/** Which keys a listing is of. */
export interface ListingScope {
  readonly prefix: string;
  readonly delimiter: string | undefined;
  /** Only what sorts after it. */
  readonly after: string | undefined;
}

/** Reads `max-keys`. @throws {S3Error} InvalidArgument */
export function pageSize(text: string | undefined): number {
  if (text === undefined) return largestPage;
  if (!/^\d{1,9}$/.test(text)) {
    throw new S3Error('InvalidArgument', 'Provided max-keys not an integer or within integer range', {
      ArgumentName: 'max-keys',
      ArgumentValue: text,
    });
  }
  return Math.min(Number(text), largestPage);
}

/** A key as listings with `encoding-type=url` have it. */
export function uriEncodeKey(key: string): string {
  return uriEncode(key).replaceAll('%2F', '/');
}
