import { rm } from 'node:fs/promises';
import type { Store } from '../store/database.ts';
import { held } from '../store/dialect.ts';
import { type ObjectFiles, uploadDirectory } from './layout.ts';
import type { ObjectStore } from './object-store.ts';
import { noSuchBucket, S3Error } from './s3-error.ts';

const bucketName = /^(?!xn--|sthree-|\d+\.\d+\.\d+\.\d+$)[a-z0-9](?:[a-z0-9-]|\.(?![.-])){1,61}[a-z0-9]$/;

export function createBucketStore(
  files: ObjectFiles,
  defaultBucket: string,
): Pick<ObjectStore, 'listBuckets' | 'createBucket' | 'requireBucket' | 'deleteBucket'> {
  const { store } = files;
  return {
    async listBuckets() {
      const rows = await store.selectFrom('s3_buckets').selectAll().orderBy('name').execute();
      return rows.map((row) => ({ name: row.name, createdAt: row.created_at }));
    },

    async createBucket(name) {
      if (!bucketName.test(name)) {
        throw new S3Error('InvalidBucketName', 'The specified bucket is not valid.', { BucketName: name });
      }
      await store
        .insertInto('s3_buckets')
        .values({ name, created_at: files.now() })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    },

    requireBucket: (name) => requireBucket(store, name),

    async deleteBucket(name) {
      if (name === defaultBucket) {
        throw new S3Error('AccessDenied', 'The default artifact bucket cannot be deleted.');
      }
      const abandoned = await store.transaction().execute(async (trx) => {
        await requireBucket(trx, name);
        const object = await trx
          .selectFrom('s3_objects')
          .select('key')
          .where('bucket', '=', name)
          .limit(1)
          .executeTakeFirst();
        if (object !== undefined) {
          throw new S3Error('BucketNotEmpty', 'The bucket you tried to delete is not empty', {
            BucketName: name,
          });
        }
        const uploads = await trx
          .deleteFrom('s3_uploads')
          .where('bucket', '=', name)
          .returning('upload_id')
          .execute();
        await trx.deleteFrom('s3_bucket_settings').where('bucket', '=', name).execute();
        await trx.deleteFrom('s3_buckets').where('name', '=', name).execute();
        return uploads;
      });
      for (const { upload_id } of abandoned) {
        await rm(uploadDirectory(files, upload_id), { recursive: true, force: true });
      }
    },
  };
}

/**
 * Finds a bucket; in a transaction, also keeps others from changing what is in it until that ends.
 * @throws {S3Error} NoSuchBucket
 */
export async function requireBucket(store: Store, name: string): Promise<void> {
  const query = store.selectFrom('s3_buckets').select('name').where('name', '=', name);
  const row = await (store.isTransaction ? held(store, query) : query).executeTakeFirst();
  if (row === undefined) throw noSuchBucket(name);
}
