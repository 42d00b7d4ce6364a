import { rm } from 'node:fs/promises';
import path from 'node:path';
import { ensureDirectory } from '../blobs/durable.ts';
import type { VersionPaths } from './image-paths.ts';

/** Makes the empty directory of a version, there to stay whatever a server killed earlier has left of it. */
export async function makeVersionDirectory({ directory }: VersionPaths): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  await ensureDirectory(path.dirname(directory));
  await ensureDirectory(directory);
}
