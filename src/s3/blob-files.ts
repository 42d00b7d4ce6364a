import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { syncDirectory } from '../blobs/durable.ts';
import { type Checksum, type ChecksumAlgorithm, createChecksum } from './checksum.ts';
import { S3Error } from './s3-error.ts';

/** What was measured while a body was written. */
export interface BlobDigests {
  readonly size: number;
  /** Hex. */
  readonly md5: string;
  /** Hex. */
  readonly sha256: string | undefined;
  /** Base64. */
  readonly checksums: ReadonlyMap<ChecksumAlgorithm, string>;
}

/** A body on disk under a temporary name: not yet durable, not yet anyone's. */
export interface WrittenBlob {
  readonly digests: BlobDigests;
  /** Makes it durable under its name in `directory`. */
  commit(directory: string, name: string): Promise<void>;
  discard(): Promise<void>;
}

export interface WriteOptions {
  readonly algorithms: readonly ChecksumAlgorithm[];
  readonly withSha256: boolean;
  readonly maximumBytes: number;
}

/**
 * Streams a body into a temporary file, never holding it in memory.
 * @throws {S3Error} EntityTooLarge, or what the body itself fails with; nothing is left behind
 */
export async function writeBlob(
  temporaryDirectory: string,
  body: AsyncIterable<Uint8Array>,
  options: WriteOptions,
): Promise<WrittenBlob> {
  const file = path.join(temporaryDirectory, randomUUID());
  const handle = await open(file, 'wx', 0o600);
  const discard = async (): Promise<void> => {
    await handle.close();
    await rm(file, { force: true });
  };
  try {
    const digests = await copyInto(handle, body, options);
    return {
      digests,
      discard,
      async commit(directory, name) {
        await handle.sync();
        await handle.close();
        await rename(file, path.join(directory, name));
        await syncDirectory(directory);
      },
    };
  } catch (error) {
    await discard();
    throw error;
  }
}

async function copyInto(
  handle: FileHandle,
  body: AsyncIterable<Uint8Array>,
  { algorithms, withSha256, maximumBytes }: WriteOptions,
): Promise<BlobDigests> {
  const md5 = createHash('md5');
  const sha256 = withSha256 ? createHash('sha256') : undefined;
  const sums = new Map<ChecksumAlgorithm, Checksum>(algorithms.map((name) => [name, createChecksum(name)]));
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maximumBytes) throw entityTooLarge(maximumBytes);
    md5.update(chunk);
    sha256?.update(chunk);
    for (const sum of sums.values()) sum.update(chunk);
    await writeFully(handle, chunk);
  }
  return {
    size,
    md5: md5.digest('hex'),
    sha256: sha256?.digest('hex'),
    checksums: new Map([...sums].map(([name, sum]) => [name, sum.digest().toString('base64')])),
  };
}

async function writeFully(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  let rest = chunk;
  while (rest.length > 0) {
    const { bytesWritten } = await handle.write(rest);
    rest = rest.subarray(bytesWritten);
  }
}

function entityTooLarge(maximumBytes: number): S3Error {
  return new S3Error('EntityTooLarge', 'Your proposed upload exceeds the maximum allowed size', {
    MaxSizeAllowed: String(maximumBytes),
  });
}
