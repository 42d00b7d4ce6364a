import { S3Error } from '../../s3/s3-error.ts';
import { element } from '../xml/write.ts';
import { type ListingScope, pageSize, uriEncodeKey } from './listing-input.ts';
import { quoteEtag, s3Document, sendXml } from './respond.ts';
import { query, type S3Request } from './s3-request.ts';

/** What S3 calls the one version of an object in a bucket that never had versions. Here that is every bucket. */
export const onlyVersion = 'null';

/** @throws {S3Error} NoSuchVersion for any version but the one there is */
export function checkVersion(key: string, versionId: string | undefined): void {
  if (versionId === undefined || versionId === onlyVersion) return;
  throw new S3Error('NoSuchVersion', 'The specified version does not exist.', {
    Key: key,
    VersionId: versionId,
  });
}

/** The objects of a bucket, each as its latest version. */
export async function listObjectVersions(request: S3Request): Promise<void> {
  const { bucket, api } = request;
  const scope: ListingScope = {
    prefix: query(request, 'prefix') ?? '',
    delimiter: query(request, 'delimiter'),
    after: query(request, 'key-marker'),
  };
  const encode = query(request, 'encoding-type') === 'url' ? uriEncodeKey : (key: string) => key;
  const limit = pageSize(query(request, 'max-keys'));
  const { objects, commonPrefixes, next } = await api.services.objects.list(bucket, {
    prefix: scope.prefix,
    delimiter: scope.delimiter === '' ? undefined : scope.delimiter,
    after: scope.after === '' ? undefined : scope.after,
    limit,
  });
  const owner = api.options.realm.accountId;
  const document = s3Document('ListVersionsResult', [
    element('Name', bucket),
    element('Prefix', encode(scope.prefix)),
    element('KeyMarker', encode(scope.after ?? '')),
    element('VersionIdMarker', query(request, 'version-id-marker') ?? ''),
    next === undefined ? undefined : element('NextKeyMarker', encode(next)),
    next === undefined ? undefined : element('NextVersionIdMarker', onlyVersion),
    element('MaxKeys', limit),
    scope.delimiter === undefined ? undefined : element('Delimiter', encode(scope.delimiter)),
    encode === uriEncodeKey ? element('EncodingType', 'url') : undefined,
    element('IsTruncated', next !== undefined),
    ...objects.map((object) =>
      element('Version', [
        element('Key', encode(object.key)),
        element('VersionId', onlyVersion),
        element('IsLatest', true),
        element('LastModified', new Date(object.modifiedAt).toISOString()),
        element('ETag', quoteEtag(object.etag)),
        element('Size', object.size),
        element('StorageClass', 'STANDARD'),
        element('Owner', [element('ID', owner), element('DisplayName', owner)]),
      ]),
    ),
    ...commonPrefixes.map((shared) => element('CommonPrefixes', [element('Prefix', encode(shared))])),
  ]);
  sendXml(request, 200, document);
}
