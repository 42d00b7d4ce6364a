import path from 'node:path';
import type { Store } from '../store/database.ts';

/** Where the pieces of the object store are, and what its parts share. */
export interface ObjectFiles {
  readonly store: Store;
  readonly now: () => number;
  readonly maximumObjectBytes: number;
  /** Contents of objects, by the `blob` column. */
  readonly objects: string;
  /** One directory per multipart upload. */
  readonly uploads: string;
  /** Bodies on their way in. */
  readonly temporary: string;
}

export function uploadDirectory(files: ObjectFiles, uploadId: string): string {
  return path.join(files.uploads, uploadId);
}
