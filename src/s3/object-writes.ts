import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { Store } from '../store/database.ts';
import type { WrittenBlob } from './blob-files.ts';
import { requireBucket } from './bucket-store.ts';
import type { ObjectFiles } from './layout.ts';
import { objectToRow } from './object-rows.ts';
import type { Precondition, StoredObject } from './object-store.ts';
import { noSuchKey, S3Error } from './s3-error.ts';

/**
 * Makes a written body the content of an object: file first, then the row, then the old content goes.
 * @param alongside further changes in the same transaction
 */
export async function publishBlob(
  files: ObjectFiles,
  blob: WrittenBlob,
  object: StoredObject,
  precondition: Precondition | undefined,
  alongside: (trx: Store) => Promise<void> = async () => undefined,
): Promise<StoredObject> {
  const name = randomUUID();
  try {
    await blob.commit(files.objects, name);
    return await publishFile(files, name, object, precondition, alongside);
  } catch (error) {
    await blob.discard();
    await rm(path.join(files.objects, name), { force: true });
    throw error;
  }
}

/** As {@link publishBlob} for a file that is already durable in the objects directory. */
export async function publishFile(
  files: ObjectFiles,
  name: string,
  object: StoredObject,
  precondition: Precondition | undefined,
  alongside: (trx: Store) => Promise<void> = async () => undefined,
): Promise<StoredObject> {
  const replaced = await files.store.transaction().execute(async (trx) => {
    await requireBucket(trx, object.bucket);
    const old = await trx
      .selectFrom('s3_objects')
      .select(['blob', 'etag'])
      .where('bucket', '=', object.bucket)
      .where('key', '=', object.key)
      .executeTakeFirst();
    checkPrecondition(precondition, object.key, old?.etag);
    await alongside(trx);
    const row = objectToRow(object, name);
    await trx
      .insertInto('s3_objects')
      .values(row)
      .onConflict((conflict) => conflict.columns(['bucket', 'key']).doUpdateSet(row))
      .execute();
    return old?.blob;
  });
  if (replaced !== undefined) await rm(path.join(files.objects, replaced), { force: true });
  return object;
}

function checkPrecondition(condition: Precondition | undefined, key: string, etag: string | undefined): void {
  if (condition === undefined) return;
  if ('ifMatch' in condition && etag === undefined) throw noSuchKey(key);
  const holds = 'ifMatch' in condition ? etag === condition.ifMatch : etag === undefined;
  if (!holds) {
    throw new S3Error('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold', {
      Condition: 'ifMatch' in condition ? 'If-Match' : 'If-None-Match',
    });
  }
}
