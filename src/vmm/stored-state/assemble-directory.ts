import { randomUUID } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { syncDirectory } from '../../blobs/durable.ts';

/**
 * Makes the new directory `target` durably, or leaves nothing: it is filled beside its place and renamed.
 * @param fill makes the directory of the name it is given and all that is in it, durable but for the name
 * @returns what `fill` does
 */
export async function assembleDirectory<Result>(
  target: string,
  fill: (partial: string) => Promise<Result>,
): Promise<Result> {
  const partial = `${target}.partial-${randomUUID()}`;
  try {
    const result = await fill(partial);
    await rename(partial, target);
    await syncDirectory(path.dirname(target));
    return result;
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}
