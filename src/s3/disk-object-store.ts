import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { ensureDirectory } from '../blobs/durable.ts';
import type { Store } from '../store/database.ts';
import { createBucketSettings } from './bucket-settings.ts';
import { createBucketStore } from './bucket-store.ts';
import { type ObjectFiles, uploadDirectory } from './layout.ts';
import type { ObjectStore } from './object-store.ts';
import { createObjects } from './objects.ts';
import { createUploads } from './uploads.ts';

/** Largest single body, as S3 has it. */
const defaultMaximumObjectBytes = 5 * 1024 ** 3;
const abandonedUploadMs = 7 * 24 * 3600 * 1000;

export interface DiskObjectStoreOptions {
  readonly store: Store;
  /** Directory for contents; created when missing. */
  readonly directory: string;
  /** Always exists. */
  readonly defaultBucket: string;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly maximumObjectBytes?: number;
}

/** Name of the bucket that is always there. */
export function defaultBucketName(accountId: string): string {
  return `dormouse-artifacts-${accountId}`;
}

/** Objects as files, what is known about them in the metadata store. */
export async function openDiskObjectStore(options: DiskObjectStoreOptions): Promise<ObjectStore> {
  const files: ObjectFiles = {
    store: options.store,
    now: options.now,
    maximumObjectBytes: options.maximumObjectBytes ?? defaultMaximumObjectBytes,
    objects: path.join(options.directory, 'objects'),
    uploads: path.join(options.directory, 'uploads'),
    temporary: path.join(options.directory, 'tmp'),
  };
  for (const directory of [files.objects, files.uploads, files.temporary]) await ensureDirectory(directory);
  const buckets = createBucketStore(files, options.defaultBucket);
  await buckets.createBucket(options.defaultBucket);
  return {
    ...buckets,
    ...createBucketSettings(options.store),
    ...createObjects(files),
    ...createUploads(files),
    recover: () => recover(files),
  };
}

async function recover(files: ObjectFiles): Promise<void> {
  const { store } = files;
  await store
    .deleteFrom('s3_uploads')
    .where('created_at', '<', files.now() - abandonedUploadMs)
    .execute();
  const blobs = await store.selectFrom('s3_objects').select('blob').execute();
  const uploads = await store.selectFrom('s3_uploads').select('upload_id').execute();
  await keepOnly(files.objects, new Set(blobs.map((row) => row.blob)));
  await keepOnly(files.uploads, new Set(uploads.map((row) => row.upload_id)));
  await keepOnly(files.temporary, new Set());
  for (const { upload_id } of uploads) await ensureDirectory(uploadDirectory(files, upload_id));
}

async function keepOnly(directory: string, names: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!names.has(name)) await rm(path.join(directory, name), { recursive: true, force: true });
  }
}
