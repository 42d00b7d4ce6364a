import type { Readable } from 'node:stream';
import type { BlobDigests } from './blob-files.ts';
import type { ChecksumAlgorithm } from './checksum.ts';

/** The built-in artifact bucket: buckets, objects and multipart uploads. Methods throw {@link S3Error}. */

/** Headers stored with an object and given back as they came. */
export interface ObjectAttributes {
  readonly contentType: string | null;
  /** Lower-case header names: `cache-control`, `content-disposition`, `content-encoding`, …, `x-amz-meta-*`. */
  readonly headers: Readonly<Record<string, string>>;
  /** None when absent; a copy that leaves them out keeps those of its source. */
  readonly tags?: Tags;
}

export type Tags = Readonly<Record<string, string>>;

export interface ObjectChecksums {
  readonly type: 'FULL_OBJECT' | 'COMPOSITE';
  /** Base64; composite ones end in a dash and the number of parts. */
  readonly values: Readonly<Partial<Record<ChecksumAlgorithm, string>>>;
}

export interface StoredObject extends ObjectAttributes {
  readonly bucket: string;
  readonly key: string;
  readonly size: number;
  /** Without quotes. */
  readonly etag: string;
  readonly checksums: ObjectChecksums;
  /** Epoch milliseconds. */
  readonly modifiedAt: number;
}

/** A body to store, and what must be true of it. */
export interface IncomingBody {
  readonly stream: AsyncIterable<Uint8Array>;
  readonly algorithms: readonly ChecksumAlgorithm[];
  readonly withSha256: boolean;
  /** Called with what was measured once all was read; throws to refuse the body. */
  verify(digests: BlobDigests): void;
}

/** Bytes from `start` to `end`, both included. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface OpenObject {
  readonly object: StoredObject;
  /** Call either, once. The stream closes the file at its end or when it is destroyed. */
  read(range: ByteRange | undefined): Readable;
  close(): Promise<void>;
}

export interface ListRequest {
  readonly prefix: string;
  readonly delimiter: string | undefined;
  /** Only what sorts after it. */
  readonly after: string | undefined;
  readonly limit: number;
}

export interface Listing {
  readonly objects: readonly StoredObject[];
  readonly commonPrefixes: readonly string[];
  /** Where the next page starts; undefined at the end. */
  readonly next: string | undefined;
}

export interface Bucket {
  readonly name: string;
  readonly createdAt: number;
}

export interface StoredPart {
  readonly partNumber: number;
  readonly etag: string;
  readonly size: number;
  readonly checksums: Readonly<Partial<Record<ChecksumAlgorithm, string>>>;
  readonly modifiedAt: number;
}

export interface Upload {
  readonly uploadId: string;
  readonly bucket: string;
  readonly key: string;
  readonly createdAt: number;
}

export interface UploadInput extends ObjectAttributes {
  readonly bucket: string;
  readonly key: string;
  readonly checksum:
    | { readonly algorithm: ChecksumAlgorithm; readonly type: ObjectChecksums['type'] }
    | undefined;
}

/** A write that only happens when there is no object yet, or the one there has the tag. */
export type Precondition = { readonly ifNoneMatch: '*' } | { readonly ifMatch: string };

export interface ObjectStore {
  listBuckets(): Promise<readonly Bucket[]>;
  /** Does nothing when the bucket is there. */
  createBucket(name: string): Promise<void>;
  /** @throws {S3Error} NoSuchBucket */
  requireBucket(name: string): Promise<void>;
  /** @throws {S3Error} BucketNotEmpty */
  deleteBucket(name: string): Promise<void>;

  /** What was put on a bucket under the name, as it was put; undefined when there is nothing. */
  bucketSetting(bucket: string, name: string): Promise<string | undefined>;
  /** Durable when it resolves. */
  putBucketSetting(bucket: string, name: string, document: string): Promise<void>;
  /** Does nothing when there is none. */
  deleteBucketSetting(bucket: string, name: string): Promise<void>;

  /** Durable when it resolves. */
  put(
    target: ObjectAttributes & { readonly bucket: string; readonly key: string },
    body: IncomingBody,
    precondition?: Precondition,
  ): Promise<StoredObject>;
  head(bucket: string, key: string): Promise<StoredObject>;
  open(bucket: string, key: string): Promise<OpenObject>;
  /** Copies without reading the content; `attributes` and `tags` replace the source's when given. */
  copy(
    source: { readonly bucket: string; readonly key: string },
    target: { readonly bucket: string; readonly key: string; readonly tags?: Tags },
    attributes: ObjectAttributes | undefined,
  ): Promise<StoredObject>;
  /** Replaces all tags of an object. */
  setTags(bucket: string, key: string, tags: Tags): Promise<void>;
  /** Does nothing when there is no such object. */
  delete(bucket: string, key: string): Promise<void>;
  list(bucket: string, request: ListRequest): Promise<Listing>;

  createUpload(input: UploadInput): Promise<Upload>;
  putPart(
    upload: Pick<Upload, 'uploadId' | 'bucket' | 'key'>,
    partNumber: number,
    body: IncomingBody,
  ): Promise<StoredPart>;
  /** Algorithm announced when the upload was created. */
  uploadChecksum(upload: Pick<Upload, 'uploadId' | 'bucket' | 'key'>): Promise<UploadInput['checksum']>;
  listParts(upload: Pick<Upload, 'uploadId' | 'bucket' | 'key'>): Promise<readonly StoredPart[]>;
  completeUpload(
    upload: Pick<Upload, 'uploadId' | 'bucket' | 'key'>,
    parts: readonly { readonly partNumber: number; readonly etag: string }[],
  ): Promise<StoredObject>;
  abortUpload(upload: Pick<Upload, 'uploadId' | 'bucket' | 'key'>): Promise<void>;
  listUploads(bucket: string): Promise<readonly Upload[]>;

  /** After a restart: removes files nothing refers to, and uploads nobody came back to. */
  recover(): Promise<void>;
}
