import { randomUUID } from 'node:crypto';
import { type FileHandle, link, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { syncDirectory } from '../blobs/durable.ts';
import type { Store } from '../store/database.ts';
import { writeBlob } from './blob-files.ts';
import { requireBucket } from './bucket-store.ts';
import type { ObjectFiles } from './layout.ts';
import { listObjects } from './object-listing.ts';
import { objectFromRow, objectToRow } from './object-rows.ts';
import type { ObjectStore, OpenObject, StoredObject } from './object-store.ts';
import { publishBlob, publishFile } from './object-writes.ts';
import { noSuchKey, S3Error } from './s3-error.ts';

const longestKey = 1024;
/** An object may be replaced between the look at its row and the opening of its file. */
const openAttempts = 5;

export function createObjects(
  files: ObjectFiles,
): Pick<ObjectStore, 'put' | 'head' | 'open' | 'copy' | 'setTags' | 'delete' | 'list'> {
  return {
    async put(target, body, precondition) {
      checkKey(target.key);
      const blob = await writeBlob(files.temporary, body.stream, {
        algorithms: body.algorithms,
        withSha256: body.withSha256,
        maximumBytes: files.maximumObjectBytes,
      });
      try {
        body.verify(blob.digests);
      } catch (error) {
        await blob.discard();
        throw error;
      }
      const { size, md5, checksums } = blob.digests;
      const object: StoredObject = {
        bucket: target.bucket,
        key: target.key,
        contentType: target.contentType,
        headers: target.headers,
        tags: target.tags ?? {},
        size,
        etag: md5,
        checksums: { type: 'FULL_OBJECT', values: Object.fromEntries(checksums) },
        modifiedAt: files.now(),
      };
      return publishBlob(files, blob, object, precondition);
    },

    async head(bucket, key) {
      return (await findObject(files.store, bucket, key)).object;
    },

    open: (bucket, key) => openObject(files, bucket, key),

    async copy(source, target, attributes) {
      checkKey(target.key);
      const name = randomUUID();
      const linked = path.join(files.objects, name);
      const found = await retryWhileReplaced(async () => {
        const candidate = await findObject(files.store, source.bucket, source.key);
        await link(path.join(files.objects, candidate.blob), linked);
        return candidate.object;
      });
      const kept = { contentType: found.contentType, headers: found.headers };
      const object = { ...found, ...(attributes ?? kept), ...target, modifiedAt: files.now() };
      try {
        await syncDirectory(files.objects);
        return await publishFile(files, name, object, undefined);
      } catch (error) {
        await rm(linked, { force: true });
        throw error;
      }
    },

    async setTags(bucket, key, tags) {
      await files.store.transaction().execute(async (trx) => {
        await requireBucket(trx, bucket);
        const found = await findObject(trx, bucket, key);
        await trx
          .updateTable('s3_objects')
          .set({ metadata: objectToRow({ ...found.object, tags }, found.blob).metadata })
          .where('bucket', '=', bucket)
          .where('key', '=', key)
          .execute();
      });
    },

    async delete(bucket, key) {
      await requireBucket(files.store, bucket);
      const deleted = await files.store
        .deleteFrom('s3_objects')
        .where('bucket', '=', bucket)
        .where('key', '=', key)
        .returning('blob')
        .executeTakeFirst();
      if (deleted !== undefined) await rm(path.join(files.objects, deleted.blob), { force: true });
    },

    async list(bucket, request) {
      await requireBucket(files.store, bucket);
      return listObjects(files.store, bucket, request);
    },
  };
}

async function openObject(files: ObjectFiles, bucket: string, key: string): Promise<OpenObject> {
  const { object, handle } = await retryWhileReplaced(async () => {
    const found = await findObject(files.store, bucket, key);
    return { object: found.object, handle: await open(path.join(files.objects, found.blob), 'r') };
  });
  return { object, read: (range) => readHandle(handle, range), close: () => handle.close() };
}

function readHandle(handle: FileHandle, range: { start: number; end: number } | undefined) {
  return handle.createReadStream({ ...range, autoClose: true, highWaterMark: 256 * 1024 });
}

async function retryWhileReplaced<Result>(attempt: () => Promise<Result>): Promise<Result> {
  for (let left = openAttempts; ; left -= 1) {
    try {
      return await attempt();
    } catch (error) {
      const vanished = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      if (!vanished || left === 0) throw error;
    }
  }
}

async function findObject(
  store: Store,
  bucket: string,
  key: string,
): Promise<{ readonly object: StoredObject; readonly blob: string }> {
  const row = await store
    .selectFrom('s3_objects')
    .selectAll()
    .where('bucket', '=', bucket)
    .where('key', '=', key)
    .executeTakeFirst();
  if (row !== undefined) return { object: objectFromRow(row), blob: row.blob };
  await requireBucket(store, bucket);
  throw noSuchKey(key);
}

export function checkKey(key: string): void {
  if (Buffer.byteLength(key) > longestKey) {
    throw new S3Error('KeyTooLongError', 'Your key is too long', { MaxSizeAllowed: String(longestKey) });
  }
}
