import type { Store } from '../store/database.ts';
import { objectFromRow } from './object-rows.ts';
import type { Listing, ListRequest, StoredObject } from './object-store.ts';

/** Sorts after every key with the same beginning. */
const afterAll = '\u{10ffff}';

/**
 * One page of a bucket in key order. Keys that share the part up to the delimiter are folded into one common
 * prefix, and skipped over rather than read.
 */
export async function listObjects(
  store: Store,
  bucket: string,
  { prefix, delimiter, after, limit }: ListRequest,
): Promise<Listing> {
  const objects: StoredObject[] = [];
  const commonPrefixes: string[] = [];
  let position = after;
  while (limit > 0) {
    const wanted = limit - objects.length - commonPrefixes.length;
    const rows = await readRows(store, bucket, prefix, position, wanted + 1);
    let folded = false;
    for (const row of rows) {
      if (!row.key.startsWith(prefix)) return { objects, commonPrefixes, next: undefined };
      if (objects.length + commonPrefixes.length === limit) {
        return { objects, commonPrefixes, next: position };
      }
      const shared = delimiter === undefined ? undefined : commonPrefix(row.key, prefix, delimiter);
      if (shared !== undefined) {
        commonPrefixes.push(shared);
        position = `${shared}${afterAll}`;
        folded = true;
        break;
      }
      objects.push(objectFromRow(row));
      position = row.key;
    }
    if (!folded && rows.length <= wanted) break;
  }
  return { objects, commonPrefixes, next: undefined };
}

function readRows(store: Store, bucket: string, prefix: string, position: string | undefined, limit: number) {
  let query = store
    .selectFrom('s3_objects')
    .selectAll()
    .where('bucket', '=', bucket)
    .where('key', '>=', prefix);
  if (position !== undefined) query = query.where('key', '>', position);
  return query.orderBy('key').limit(limit).execute();
}

function commonPrefix(key: string, prefix: string, delimiter: string): string | undefined {
  const index = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
  return index === -1 ? undefined : key.slice(0, index + delimiter.length);
}
