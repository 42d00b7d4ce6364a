import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { syncDirectory } from '../blobs/durable.ts';

/** The directory of a new VM, durable and nobody else's to read. */
export async function makeDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await syncDirectory(path.dirname(directory));
}
