import type { StoredObject } from '../../s3/object-store.ts';
import { S3Error } from '../../s3/s3-error.ts';
import { element } from '../xml/write.ts';
import { pageSize, uriEncodeKey } from './listing-input.ts';
import { quoteEtag, s3Document, sendEmpty, sendXml } from './respond.ts';
import { query, type S3Request } from './s3-request.ts';
import { readSmallBody } from './small-body.ts';

export async function listBuckets(request: S3Request): Promise<void> {
  const buckets = await request.api.services.objects.listBuckets();
  const owner = request.api.options.realm.accountId;
  const document = s3Document('ListAllMyBucketsResult', [
    element('Owner', [element('ID', owner), element('DisplayName', owner)]),
    element(
      'Buckets',
      buckets.map(({ name, createdAt }) =>
        element('Bucket', [
          element('Name', name),
          element('CreationDate', new Date(createdAt).toISOString()),
        ]),
      ),
    ),
  ]);
  sendXml(request, 200, document);
}

export async function createBucket(request: S3Request): Promise<void> {
  await readSmallBody(request);
  await request.api.services.objects.createBucket(request.bucket);
  request.response.setHeader('location', `/${request.bucket}`);
  sendEmpty(request, 200);
}

export async function headBucket(request: S3Request): Promise<void> {
  await request.api.services.objects.requireBucket(request.bucket);
  request.response.setHeader('x-amz-bucket-region', request.api.options.realm.region);
  sendEmpty(request, 200);
}

export async function deleteBucket(request: S3Request): Promise<void> {
  await request.api.services.objects.deleteBucket(request.bucket);
  sendEmpty(request, 204);
}

/** The first region of all is named by an empty element. */
export async function getBucketLocation(request: S3Request): Promise<void> {
  await request.api.services.objects.requireBucket(request.bucket);
  const { region } = request.api.options.realm;
  sendXml(request, 200, {
    ...s3Document('LocationConstraint', []),
    content: region === 'us-east-1' ? '' : region,
  });
}

/** ListObjectsV2, and the older ListObjects without `list-type=2`. */
export async function listObjects(request: S3Request): Promise<void> {
  const { bucket, api } = request;
  const second = query(request, 'list-type') === '2';
  const prefix = query(request, 'prefix') ?? '';
  const delimiter = query(request, 'delimiter');
  const encode = query(request, 'encoding-type') === 'url' ? uriEncodeKey : (key: string) => key;
  const scope = { operation: 's3:ListObjects', filter: { bucket, prefix, delimiter } };
  const token = second ? query(request, 'continuation-token') : undefined;
  const startAfter = query(request, second ? 'start-after' : 'marker');
  const limit = pageSize(query(request, 'max-keys'));
  const listing = await api.services.objects.list(bucket, {
    prefix,
    delimiter: delimiter === '' ? undefined : delimiter,
    after: token === undefined ? startAfter : openToken(request, token, scope),
    limit,
  });
  const { objects, commonPrefixes, next } = listing;
  const nextToken = next === undefined ? undefined : api.pageTokens.seal(next, scope);
  const document = s3Document('ListBucketResult', [
    element('Name', bucket),
    element('Prefix', encode(prefix)),
    optionalElement('Delimiter', delimiter === undefined ? undefined : encode(delimiter)),
    element('MaxKeys', limit),
    optionalElement('EncodingType', query(request, 'encoding-type')),
    element('IsTruncated', next !== undefined),
    ...(second
      ? [
          element('KeyCount', objects.length + commonPrefixes.length),
          optionalElement('ContinuationToken', token),
          optionalElement('NextContinuationToken', nextToken),
          optionalElement('StartAfter', startAfter === undefined ? undefined : encode(startAfter)),
        ]
      : [
          element('Marker', encode(startAfter ?? '')),
          optionalElement('NextMarker', next === undefined ? undefined : encode(next)),
        ]),
    ...objects.map((object) => contentsElement(object, encode)),
    ...commonPrefixes.map((shared) => element('CommonPrefixes', [element('Prefix', encode(shared))])),
  ]);
  sendXml(request, 200, document);
}

function contentsElement(object: StoredObject, encode: (key: string) => string) {
  return element('Contents', [
    element('Key', encode(object.key)),
    element('LastModified', new Date(object.modifiedAt).toISOString()),
    element('ETag', quoteEtag(object.etag)),
    element('Size', object.size),
    element('StorageClass', 'STANDARD'),
  ]);
}

function optionalElement(name: string, value: string | undefined) {
  return value === undefined ? undefined : element(name, value);
}

function openToken(
  request: S3Request,
  token: string,
  scope: { readonly operation: string; readonly filter: Readonly<Record<string, string | undefined>> },
): string {
  try {
    return request.api.pageTokens.open(token, scope);
  } catch {
    throw new S3Error('InvalidArgument', 'The continuation token provided is incorrect', {
      ArgumentName: 'continuation-token',
    });
  }
}
