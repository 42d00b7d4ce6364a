import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { ArtifactError, type ArtifactSource, parseArtifactUri } from '../blobs/artifact-source.ts';
import type { ObjectStore } from './object-store.ts';
import { S3Error } from './s3-error.ts';

/** Code artifacts from the built-in bucket. */
export function createBucketArtifactSource(objects: Pick<ObjectStore, 'open'>): ArtifactSource {
  return {
    async download(uri, toFile, signal) {
      const location = parseArtifactUri(uri);
      if (location === undefined) throw new ArtifactError('S3_INVALID_OBJECT', `${uri} is not an S3 URI.`);
      const { bucket, key } = location;
      const source = await objects.open(bucket, key).catch((error: unknown) => {
        throw asArtifactError(error, uri);
      });
      try {
        await pipeline(source.read(undefined), createWriteStream(toFile, { flags: 'wx', mode: 0o600 }), {
          signal,
        });
      } catch (error) {
        await rm(toFile, { force: true });
        throw error;
      }
    },
  };
}

function asArtifactError(error: unknown, uri: string): unknown {
  if (!(error instanceof S3Error)) return error;
  if (error.code === 'NoSuchBucket') return new ArtifactError('S3_NO_SUCH_BUCKET', `${uri}: no such bucket.`);
  if (error.code === 'NoSuchKey') return new ArtifactError('S3_NO_SUCH_KEY', `${uri}: no such key.`);
  return error;
}
