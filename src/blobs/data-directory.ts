import { randomUUID } from 'node:crypto';
import { access, constants, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { describeStorageFailure } from '../model/storage-failure.ts';
import { ensureDirectory } from './durable.ts';

/** The data directory is not one in which a server can work. */
export class DataDirectoryError extends Error {
  override readonly name = 'DataDirectoryError';
}

/**
 * Makes the data directory, if it is not there, and sees whether something can be stored in it.
 * @throws {DataDirectoryError} it cannot
 */
export async function openDataDirectory(directory: string): Promise<void> {
  try {
    await ensureDirectory(directory);
    await tryToStore(path.join(directory, `${randomUUID()}.tmp`));
  } catch (error) {
    const why =
      describeStorageFailure(error) ?? describeRefusal(error) ?? (await whyNotAbove(directory, error));
    throw new DataDirectoryError(
      `nothing can be stored in the data directory ${directory}: ${why}; mend that, or choose another directory with --data-dir`,
      { cause: error },
    );
  }
}

async function tryToStore(file: string): Promise<void> {
  try {
    const handle = await open(file, 'wx', 0o600);
    try {
      await handle.writeFile('can this be stored?');
      await handle.sync();
    } finally {
      await handle.close();
    }
  } finally {
    await rm(file, { force: true }).catch(() => undefined);
  }
}

function describeRefusal(error: unknown): string | undefined {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM') return 'this user may not write to it';
  return code === 'ENOTDIR' || code === 'EEXIST' ? 'there is a file in its place' : undefined;
}

/** Node says of a directory that may not be made only that it is not there. */
async function whyNotAbove(directory: string, error: unknown): Promise<string> {
  for (let above = path.dirname(path.resolve(directory)); ; above = path.dirname(above)) {
    const obstacle = await access(above, constants.W_OK).then(
      () => error,
      (found: NodeJS.ErrnoException) => found,
    );
    if ((obstacle as NodeJS.ErrnoException).code !== 'ENOENT' || above === path.dirname(above)) {
      const known = describeStorageFailure(obstacle) ?? describeRefusal(obstacle);
      return known ?? (error instanceof Error ? error.message : String(error));
    }
  }
}
