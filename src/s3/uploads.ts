import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { ensureDirectory, writeFileDurably } from '../blobs/durable.ts';
import { writeBlob } from './blob-files.ts';
import { requireBucket } from './bucket-store.ts';
import { type ChecksumAlgorithm, createChecksum } from './checksum.ts';
import { type ObjectFiles, uploadDirectory } from './layout.ts';
import type {
  IncomingBody,
  ObjectAttributes,
  ObjectChecksums,
  ObjectStore,
  StoredObject,
  StoredPart,
  Upload,
  UploadInput,
} from './object-store.ts';
import { publishBlob } from './object-writes.ts';
import { checkKey } from './objects.ts';
import { invalidPart, noSuchUpload, S3Error } from './s3-error.ts';

const smallestPart = 5 * 1024 * 1024;
export const largestPartNumber = 10_000;

type UploadName = Pick<Upload, 'uploadId' | 'bucket' | 'key'>;

/** A part and the file of its content, as its description on disk holds it. */
interface PartFile extends StoredPart {
  readonly file: string;
}

interface OpenUpload extends ObjectAttributes {
  readonly checksum: UploadInput['checksum'];
}

export function createUploads(
  files: ObjectFiles,
): Pick<
  ObjectStore,
  | 'createUpload'
  | 'putPart'
  | 'uploadChecksum'
  | 'listParts'
  | 'completeUpload'
  | 'abortUpload'
  | 'listUploads'
> {
  return {
    async createUpload(input) {
      checkKey(input.key);
      await requireBucket(files.store, input.bucket);
      const upload = { uploadId: randomUUID(), bucket: input.bucket, key: input.key, createdAt: files.now() };
      await ensureDirectory(uploadDirectory(files, upload.uploadId));
      await files.store
        .insertInto('s3_uploads')
        .values({
          upload_id: upload.uploadId,
          bucket: input.bucket,
          key: input.key,
          content_type: input.contentType,
          metadata: JSON.stringify({ headers: input.headers, checksum: input.checksum, tags: input.tags }),
          created_at: upload.createdAt,
        })
        .execute();
      return upload;
    },

    async putPart(upload, partNumber, body) {
      await findUpload(files, upload);
      return putPart(files, upload.uploadId, partNumber, body);
    },

    async uploadChecksum(upload) {
      return (await findUpload(files, upload)).checksum;
    },

    async listParts(upload) {
      await findUpload(files, upload);
      return readParts(files, upload.uploadId);
    },

    async completeUpload(upload, wanted) {
      const open = await findUpload(files, upload);
      const parts = selectParts(await readParts(files, upload.uploadId), wanted);
      const object = await assemble(files, upload, open, parts);
      await rm(uploadDirectory(files, upload.uploadId), { recursive: true, force: true });
      return object;
    },

    async abortUpload(upload) {
      await findUpload(files, upload);
      await files.store.deleteFrom('s3_uploads').where('upload_id', '=', upload.uploadId).execute();
      await rm(uploadDirectory(files, upload.uploadId), { recursive: true, force: true });
    },

    async listUploads(bucket) {
      const rows = await files.store
        .selectFrom('s3_uploads')
        .selectAll()
        .where('bucket', '=', bucket)
        .orderBy('key')
        .orderBy('upload_id')
        .execute();
      return rows.map((row) => ({
        uploadId: row.upload_id,
        bucket: row.bucket,
        key: row.key,
        createdAt: row.created_at,
      }));
    },
  };
}

async function findUpload(files: ObjectFiles, { uploadId, bucket, key }: UploadName): Promise<OpenUpload> {
  const row = await files.store
    .selectFrom('s3_uploads')
    .selectAll()
    .where('upload_id', '=', uploadId)
    .where('bucket', '=', bucket)
    .where('key', '=', key)
    .executeTakeFirst();
  if (row === undefined) throw noSuchUpload(uploadId);
  const metadata = JSON.parse(row.metadata) as Omit<OpenUpload, 'contentType'>;
  return { contentType: row.content_type, ...metadata, checksum: metadata.checksum };
}

/** The content first, then the description that makes it the part; the content it replaces goes last. */
async function putPart(
  files: ObjectFiles,
  uploadId: string,
  partNumber: number,
  body: IncomingBody,
): Promise<StoredPart> {
  const directory = uploadDirectory(files, uploadId);
  const blob = await writeBlob(files.temporary, body.stream, {
    algorithms: body.algorithms,
    withSha256: body.withSha256,
    maximumBytes: files.maximumObjectBytes,
  });
  const file = randomUUID();
  try {
    body.verify(blob.digests);
    await blob.commit(directory, file);
  } catch (error) {
    await blob.discard();
    // The upload may have been completed or aborted meanwhile, and its directory with it.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') throw noSuchUpload(uploadId);
    throw error;
  }
  const { size, md5, checksums } = blob.digests;
  const part: PartFile = {
    partNumber,
    file,
    size,
    etag: md5,
    checksums: Object.fromEntries(checksums),
    modifiedAt: files.now(),
  };
  const replaced = await readPart(directory, descriptionName(partNumber));
  await writeFileDurably(path.join(directory, descriptionName(partNumber)), JSON.stringify(part));
  if (replaced !== undefined) await rm(path.join(directory, replaced.file), { force: true });
  return part;
}

async function readParts(files: ObjectFiles, uploadId: string): Promise<PartFile[]> {
  const directory = uploadDirectory(files, uploadId);
  const names = (await readdir(directory)).filter((name) => name.endsWith('.json'));
  const parts = await Promise.all(names.map((name) => readPart(directory, name)));
  return parts.filter((part) => part !== undefined).sort((a, b) => a.partNumber - b.partNumber);
}

async function readPart(directory: string, name: string): Promise<PartFile | undefined> {
  try {
    return JSON.parse(await readFile(path.join(directory, name), 'utf8')) as PartFile;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function descriptionName(partNumber: number): string {
  return `${partNumber}.json`;
}

/** The parts a client lists, checked against what is there. */
function selectParts(
  stored: readonly PartFile[],
  wanted: readonly { readonly partNumber: number; readonly etag: string }[],
): PartFile[] {
  const byNumber = new Map(stored.map((part) => [part.partNumber, part]));
  const selected = wanted.map(({ partNumber, etag }, index) => {
    const previous = wanted[index - 1]?.partNumber ?? 0;
    if (partNumber <= previous) {
      throw new S3Error(
        'InvalidPartOrder',
        'The list of parts was not in ascending order. The parts list must be specified in order by part number.',
      );
    }
    const part = byNumber.get(partNumber);
    if (part === undefined || part.etag !== etag) throw invalidPart();
    return part;
  });
  if (selected.length === 0) throw invalidPart();
  if (selected.slice(0, -1).some((part) => part.size < smallestPart)) {
    throw new S3Error('EntityTooSmall', 'Your proposed upload is smaller than the minimum allowed size');
  }
  return selected;
}

async function assemble(
  files: ObjectFiles,
  upload: UploadName,
  { contentType, headers, checksum, tags = {} }: OpenUpload,
  parts: readonly PartFile[],
): Promise<StoredObject> {
  const directory = uploadDirectory(files, upload.uploadId);
  const blob = await writeBlob(files.temporary, concatenate(directory, parts), {
    algorithms: checksum?.type === 'FULL_OBJECT' ? [checksum.algorithm] : [],
    withSha256: false,
    maximumBytes: Number.POSITIVE_INFINITY,
  });
  const md5 = createHash('md5');
  for (const part of parts) md5.update(Buffer.from(part.etag, 'hex'));
  const object: StoredObject = {
    bucket: upload.bucket,
    key: upload.key,
    contentType,
    headers,
    tags,
    size: blob.digests.size,
    etag: `${md5.digest('hex')}-${parts.length}`,
    checksums:
      checksum?.type === 'COMPOSITE'
        ? compositeChecksums(checksum.algorithm, parts)
        : { type: 'FULL_OBJECT', values: Object.fromEntries(blob.digests.checksums) },
    modifiedAt: files.now(),
  };
  return publishBlob(files, blob, object, undefined, async (trx) => {
    const deleted = await trx
      .deleteFrom('s3_uploads')
      .where('upload_id', '=', upload.uploadId)
      .executeTakeFirst();
    if (deleted.numDeletedRows === 0n) throw noSuchUpload(upload.uploadId);
  });
}

async function* concatenate(directory: string, parts: readonly PartFile[]): AsyncGenerator<Buffer> {
  for (const part of parts) {
    yield* createReadStream(path.join(directory, part.file), { highWaterMark: 256 * 1024 });
  }
}

/** The checksum of the parts' checksums. */
function compositeChecksums(algorithm: ChecksumAlgorithm, parts: readonly PartFile[]): ObjectChecksums {
  const sum = createChecksum(algorithm);
  for (const part of parts) {
    const value = part.checksums[algorithm];
    if (value === undefined) return { type: 'COMPOSITE', values: {} };
    sum.update(Buffer.from(value, 'base64'));
  }
  return {
    type: 'COMPOSITE',
    values: { [algorithm]: `${sum.digest().toString('base64')}-${parts.length}` },
  };
}
