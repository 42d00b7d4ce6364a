import type { Store } from '../store/database.ts';
import { requireBucket } from './bucket-store.ts';
import type { ObjectStore } from './object-store.ts';

/** Documents that clients put on buckets. What is in them is the business of who reads and writes them. */
export function createBucketSettings(
  store: Store,
): Pick<ObjectStore, 'bucketSetting' | 'putBucketSetting' | 'deleteBucketSetting'> {
  return {
    async bucketSetting(bucket, name) {
      const row = await store
        .selectFrom('s3_bucket_settings')
        .select('document')
        .where('bucket', '=', bucket)
        .where('name', '=', name)
        .executeTakeFirst();
      if (row === undefined) await requireBucket(store, bucket);
      return row?.document;
    },

    async putBucketSetting(bucket, name, document) {
      await store.transaction().execute(async (trx) => {
        await requireBucket(trx, bucket);
        await trx
          .insertInto('s3_bucket_settings')
          .values({ bucket, name, document })
          .onConflict((conflict) => conflict.columns(['bucket', 'name']).doUpdateSet({ document }))
          .execute();
      });
    },

    async deleteBucketSetting(bucket, name) {
      await requireBucket(store, bucket);
      await store
        .deleteFrom('s3_bucket_settings')
        .where('bucket', '=', bucket)
        .where('name', '=', name)
        .execute();
    },
  };
}
