import type { Selectable } from 'kysely';
import type { S3ObjectsTable } from '../store/schema.ts';
import type { ObjectAttributes, ObjectChecksums, StoredObject, Tags } from './object-store.ts';

/** The `metadata` column of an object. */
interface ObjectMetadata {
  readonly headers: ObjectAttributes['headers'];
  readonly checksums: ObjectChecksums;
  readonly tags?: Tags | undefined;
}

export function objectFromRow(row: Selectable<S3ObjectsTable>): StoredObject {
  const { headers, checksums, tags = {} } = JSON.parse(row.metadata) as ObjectMetadata;
  return {
    bucket: row.bucket,
    key: row.key,
    size: row.size,
    etag: row.etag,
    contentType: row.content_type,
    headers,
    checksums,
    tags,
    modifiedAt: row.modified_at,
  };
}

export function objectToRow(object: StoredObject, blob: string): Selectable<S3ObjectsTable> {
  const { headers, checksums, tags } = object;
  const metadata: ObjectMetadata = { headers, checksums, tags };
  return {
    bucket: object.bucket,
    key: object.key,
    blob,
    size: object.size,
    etag: object.etag,
    content_type: object.contentType,
    metadata: JSON.stringify(metadata),
    modified_at: object.modifiedAt,
  };
}
