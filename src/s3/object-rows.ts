import type { Selectable } from 'kysely';
import type { S3ObjectsTable } from '../store/schema.ts';
import type { ObjectAttributes, ObjectChecksums, StoredObject } from './object-store.ts';

/** The `metadata` column of an object. */
interface ObjectMetadata {
  readonly headers: ObjectAttributes['headers'];
  readonly checksums: ObjectChecksums;
}

export function objectFromRow(row: Selectable<S3ObjectsTable>): StoredObject {
  const { headers, checksums } = JSON.parse(row.metadata) as ObjectMetadata;
  return {
    bucket: row.bucket,
    key: row.key,
    size: row.size,
    etag: row.etag,
    contentType: row.content_type,
    headers,
    checksums,
    modifiedAt: row.modified_at,
  };
}

export function objectToRow(object: StoredObject, blob: string): Selectable<S3ObjectsTable> {
  const metadata: ObjectMetadata = { headers: object.headers, checksums: object.checksums };
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
