import type { ObjectAttributes, Precondition, StoredObject } from '../../s3/object-store.ts';
import { S3Error } from '../../s3/s3-error.ts';
import { checksumHeaders, quoteEtag, unquoteEtag } from './respond.ts';
import { header, query, type S3Request } from './s3-request.ts';
import { readTaggingHeader } from './tags.ts';

const keptHeaders = [
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'expires',
] as const;
const userMetadataLimit = 2048;
const defaultContentType = 'binary/octet-stream';

/** Headers of a request that are stored with the object. */
export function readAttributes(request: S3Request): ObjectAttributes {
  const entries: [string, string][] = [];
  let userMetadata = 0;
  for (const [name, value] of request.request.headers) {
    if (name.startsWith('x-amz-meta-')) {
      userMetadata += name.length - 'x-amz-meta-'.length + value.length;
      entries.push([name, value]);
    }
  }
  if (userMetadata > userMetadataLimit) {
    throw new S3Error('InvalidArgument', 'Your metadata headers exceed the maximum allowed metadata size', {
      MaxSizeAllowed: String(userMetadataLimit),
    });
  }
  for (const name of keptHeaders) {
    const value = name === 'content-encoding' ? contentEncoding(request) : header(request, name);
    if (value !== undefined) entries.push([name, value]);
  }
  const tags = readTaggingHeader(request);
  return {
    contentType: header(request, 'content-type') ?? null,
    headers: Object.fromEntries(entries),
    ...(tags === undefined ? {} : { tags }),
  };
}

/** Without `aws-chunked`, which is about the transfer only. */
function contentEncoding(request: S3Request): string | undefined {
  const codings = (header(request, 'content-encoding') ?? '')
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'aws-chunked');
  return codings.length === 0 ? undefined : codings.join(',');
}

export function readPrecondition(request: S3Request): Precondition | undefined {
  const ifMatch = header(request, 'if-match');
  if (ifMatch !== undefined) return { ifMatch: unquoteEtag(ifMatch) };
  const ifNoneMatch = header(request, 'if-none-match');
  if (ifNoneMatch === undefined) return undefined;
  if (ifNoneMatch.trim() === '*') return { ifNoneMatch: '*' };
  throw new S3Error('NotImplemented', 'If-None-Match takes only * on a write');
}

const overridable: readonly (readonly [parameter: string, name: string])[] = [
  ['response-cache-control', 'cache-control'],
  ['response-content-disposition', 'content-disposition'],
  ['response-content-encoding', 'content-encoding'],
  ['response-content-language', 'content-language'],
  ['response-content-type', 'content-type'],
  ['response-expires', 'expires'],
];

/** Describes an object on the response of a GET or HEAD. */
export function setObjectHeaders(request: S3Request, object: StoredObject, whole: boolean): void {
  const { response } = request;
  const withChecksums = whole && header(request, 'x-amz-checksum-mode')?.toUpperCase() === 'ENABLED';
  const headers: (readonly [string, string])[] = [
    ['accept-ranges', 'bytes'],
    ['content-type', object.contentType ?? defaultContentType],
    ['etag', quoteEtag(object.etag)],
    ['last-modified', new Date(object.modifiedAt).toUTCString()],
    ...Object.entries(object.headers),
    ...taggingCount(object),
    ...(withChecksums ? checksumHeaders(object.checksums.values) : []),
    ...(withChecksums ? [['x-amz-checksum-type', object.checksums.type] as const] : []),
    ...overridable.flatMap(([parameter, name]) => {
      const value = query(request, parameter);
      return value === undefined ? [] : [[name, value] as const];
    }),
  ];
  for (const [name, value] of headers) setChecked(response, name, value);
}

function taggingCount({ tags = {} }: StoredObject): [string, string][] {
  const count = Object.keys(tags).length;
  return count === 0 ? [] : [['x-amz-tagging-count', String(count)]];
}

/** Names and values come from clients; what cannot be a header is refused rather than sent. */
function setChecked(response: S3Request['response'], name: string, value: string): void {
  try {
    response.setHeader(name, value);
  } catch {
    throw new S3Error('InvalidArgument', `The value of ${name} cannot be sent as a header.`);
  }
}

/**
 * Judges the conditions of a GET or HEAD.
 * @returns whether the client has the object already
 * @throws {S3Error} PreconditionFailed
 */
export function isNotModified(request: S3Request, object: StoredObject): boolean {
  const modified = Math.floor(object.modifiedAt / 1000) * 1000;
  const ifMatch = header(request, 'if-match');
  if (ifMatch !== undefined) {
    if (!listsEtag(ifMatch, object.etag)) throw preconditionFailed('If-Match');
  } else if (modified > dateHeader(request, 'if-unmodified-since', Number.POSITIVE_INFINITY)) {
    throw preconditionFailed('If-Unmodified-Since');
  }
  const ifNoneMatch = header(request, 'if-none-match');
  if (ifNoneMatch !== undefined) return listsEtag(ifNoneMatch, object.etag);
  return modified <= dateHeader(request, 'if-modified-since', Number.NEGATIVE_INFINITY);
}

function dateHeader(request: S3Request, name: string, otherwise: number): number {
  const time = Date.parse(header(request, name) ?? '');
  return Number.isNaN(time) ? otherwise : time;
}

function listsEtag(list: string, etag: string): boolean {
  return list.trim() === '*' || list.split(',').some((item) => unquoteEtag(item) === etag);
}

function preconditionFailed(condition: string): S3Error {
  return new S3Error('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold', {
    Condition: condition,
  });
}
