import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { promisify } from 'node:util';

/**
 * Removes a directory that may hold builds. Those of an ordinary user have files of other user ids of the
 * builder's user namespace, and only there can they be removed.
 */
export async function removeDirectory(directory: string): Promise<void> {
  try {
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (process.getuid?.() === 0 || (code !== 'EACCES' && code !== 'EPERM')) throw error;
    await promisify(execFile)('buildah', ['unshare', '--', 'rm', '-rf', '--one-file-system', directory]);
  }
}
