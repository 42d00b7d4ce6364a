import { access, constants } from 'node:fs/promises';
import os from 'node:os';

/** A file system in memory: that a sync takes its time is of no interest here. */
export async function quickScratchRoot(): Promise<string> {
  const inMemory = '/dev/shm';
  return await access(inMemory, constants.W_OK).then(
    () => inMemory,
    () => os.tmpdir(),
  );
}
