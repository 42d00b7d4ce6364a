import { pipeline } from 'node:stream/promises';
import type { Tags } from '../../s3/object-store.ts';
import { malformedXml, S3Error } from '../../s3/s3-error.ts';
import { parseQuery, queryValue, uriDecode } from '../sigv4/uri.ts';
import { childrenNamed, childText } from '../xml/parse.ts';
import { element, type XmlNode } from '../xml/write.ts';
import { refusalOf, requireAccess, type S3Place } from './authorize.ts';
import { incomingBody } from './incoming-body.ts';
import { isNotModified, readAttributes, readPrecondition, setObjectHeaders } from './object-headers.ts';
import { checkVersion } from './object-versions.ts';
import { parseRange } from './range.ts';
import { checksumElements, checksumHeaders, quoteEtag, s3Document, sendEmpty, sendXml } from './respond.ts';
import { header, type S3Request, splitPath } from './s3-request.ts';
import { readXml } from './small-body.ts';
import { readTaggingHeader } from './tags.ts';

const keysPerDelete = 1000;

export async function putObject(request: S3Request): Promise<void> {
  const { bucket, key, api, response } = request;
  const { objects } = api.services;
  await objects.requireBucket(bucket);
  const object = await objects.put(
    { bucket, key, ...readAttributes(request) },
    incomingBody(request),
    readPrecondition(request),
  );
  response.setHeader('etag', quoteEtag(object.etag));
  for (const [name, value] of checksumHeaders(object.checksums.values)) response.setHeader(name, value);
  sendEmpty(request, 200);
}

export async function headObject(request: S3Request): Promise<void> {
  const { bucket, key, api, response } = request;
  const object = await api.services.objects.head(bucket, key);
  if (isNotModified(request, object)) {
    response.writeHead(304, { etag: quoteEtag(object.etag) }).end();
    return;
  }
  const range = parseRange(header(request, 'range'), object.size);
  setObjectHeaders(request, object, range === undefined);
  const length = range === undefined ? object.size : range.end - range.start + 1;
  if (range !== undefined) {
    response.setHeader('content-range', `bytes ${range.start}-${range.end}/${object.size}`);
  }
  response.writeHead(range === undefined ? 200 : 206, { 'content-length': length }).end();
}

export async function getObject(request: S3Request): Promise<void> {
  const { bucket, key, api, response, signal } = request;
  const opened = await api.services.objects.open(bucket, key);
  const { object } = opened;
  try {
    if (isNotModified(request, object)) {
      response.writeHead(304, { etag: quoteEtag(object.etag) }).end();
      return;
    }
    const range = parseRange(header(request, 'range'), object.size);
    setObjectHeaders(request, object, range === undefined);
    if (range !== undefined) {
      response.setHeader('content-range', `bytes ${range.start}-${range.end}/${object.size}`);
    }
    const length = range === undefined ? object.size : range.end - range.start + 1;
    response.writeHead(range === undefined ? 200 : 206, { 'content-length': length });
    if (length === 0) response.end();
    else await pipeline(opened.read(range), response, { signal });
  } finally {
    await opened.close();
  }
}

export async function deleteObject(request: S3Request): Promise<void> {
  await request.api.services.objects.delete(request.bucket, request.key);
  sendEmpty(request, 204);
}

export async function deleteObjects(request: S3Request): Promise<void> {
  await request.api.services.objects.requireBucket(request.bucket);
  const document = await readXml(request);
  const named = childrenNamed(document, 'Object').map((object) => ({
    key: childText(object, 'Key') ?? '',
    version: childText(object, 'VersionId') || undefined,
  }));
  if (document.name !== 'Delete' || named.length === 0 || named.length > keysPerDelete) throw malformedXml();
  if (named.some(({ key }) => key === '')) throw malformedXml();
  const quiet = childText(document, 'Quiet') === 'true';
  const results: XmlNode[] = [];
  for (const { key, version } of named) {
    const names = [element('Key', key), version === undefined ? undefined : element('VersionId', version)];
    const refusal = await deleteOne(request, key, version);
    if (refusal !== undefined) {
      const why = [element('Code', refusal.code), element('Message', refusal.message)];
      results.push(element('Error', [...names, ...why]));
    } else if (!quiet) results.push(element('Deleted', names));
  }
  sendXml(request, 200, s3Document('DeleteResult', results));
}

/** Says why an object was not deleted. */
async function deleteOne(
  request: S3Request,
  key: string,
  version: string | undefined,
): Promise<S3Error | undefined> {
  const place = { bucket: request.bucket, key };
  const refusal =
    refusalOf(request, 's3:DeleteObject', place) ??
    (version === undefined ? undefined : refusalOf(request, 's3:DeleteObjectVersion', place));
  if (refusal !== undefined) return refusal;
  try {
    checkVersion(key, version);
  } catch (error) {
    if (error instanceof S3Error) return error;
    throw error;
  }
  await request.api.services.objects.delete(request.bucket, key);
  return undefined;
}

export async function copyObject(request: S3Request): Promise<void> {
  const { bucket, key, api } = request;
  const source = copySource(request);
  requireAccess(request, 's3:GetObject', source);
  const replace = header(request, 'x-amz-metadata-directive')?.toUpperCase() === 'REPLACE';
  if (source.bucket === bucket && source.key === key && !replace) {
    throw new S3Error(
      'InvalidRequest',
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    );
  }
  const tags = await copiedTags(request, source);
  const attributes = replace ? readAttributes(request) : undefined;
  const object = await api.services.objects.copy(source, { bucket, key, tags }, attributes);
  const document = s3Document('CopyObjectResult', [
    element('LastModified', new Date(object.modifiedAt).toISOString()),
    element('ETag', quoteEtag(object.etag)),
    ...checksumElements(object.checksums.values),
  ]);
  sendXml(request, 200, document);
}

/** Tags of a copy: those of its source, as far as the caller may read and set them, or the request's own. */
async function copiedTags(request: S3Request, source: S3Place): Promise<Tags> {
  if (header(request, 'x-amz-tagging-directive')?.toUpperCase() === 'REPLACE') {
    return readTaggingHeader(request) ?? {};
  }
  const { tags = {} } = await request.api.services.objects.head(source.bucket, source.key);
  if (Object.keys(tags).length > 0) {
    requireAccess(request, 's3:GetObjectTagging', source);
    requireAccess(request, 's3:PutObjectTagging', request);
  }
  return tags;
}

/** Bucket and key of `x-amz-copy-source`. */
export function copySource(request: S3Request): S3Place {
  const [path = '', version = ''] = (header(request, 'x-amz-copy-source') ?? '').split('?');
  // Some clients encode the whole of it, slashes included.
  const { bucket, key } = splitPath(path.includes('/') ? path : uriDecode(path));
  if (bucket === '' || key === '') {
    throw new S3Error(
      'InvalidArgument',
      'Copy Source must mention the source bucket and key: sourcebucket/sourcekey',
      {
        ArgumentName: 'x-amz-copy-source',
      },
    );
  }
  checkVersion(key, queryValue(parseQuery(version), 'versionId'));
  return { bucket, key };
}
