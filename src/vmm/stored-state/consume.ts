import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { syncDirectory } from '../../blobs/durable.ts';

/** Names in a VM's directory: of what is stored of it, and of the same once it must never be restored again. */
export interface ConsumableState {
  readonly current: string;
  readonly consumed: string;
}

/**
 * Makes sure that what is stored, if anything is, is never restored again: call right before the guest goes on.
 * Durable when it resolves, with whether there was anything.
 */
export async function consumeState(directory: string, names: ConsumableState): Promise<boolean> {
  const consumed = path.join(directory, names.consumed);
  await rm(consumed, { recursive: true, force: true });
  try {
    await rename(path.join(directory, names.current), consumed);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
  try {
    await syncDirectory(directory);
  } catch (error) {
    await restoreState(directory, names);
    throw error;
  }
  return true;
}

/** Takes a {@link consumeState} back. Right only where it is certain that the guest did not go on. */
export async function restoreState(directory: string, { current, consumed }: ConsumableState): Promise<void> {
  await rename(path.join(directory, consumed), path.join(directory, current));
  await syncDirectory(directory);
}
