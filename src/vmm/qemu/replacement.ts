import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { syncDirectory } from '../../blobs/durable.ts';
import { isThere } from '../../blobs/entries.ts';
import { vmFiles } from './arguments.ts';
import { copyDifference, currentDifference } from './difference.ts';
import { copyOverlay } from './qemu-instance.ts';

/*
 * A VM that goes back to an earlier state gets another disk and another difference, which cannot be put in place
 * at once. They are assembled in `replacement.next` and renamed to `replacement`: from there on the VM is what is
 * in it, and whoever finds it moves its parts to their places, in an order that can be cut short anywhere.
 */
const next = 'replacement.next';
const staged = 'replacement';
export const replacementNames = [next, staged] as const;

/** Makes `target`, existing and empty, hold what is suspended in `source`, durably. */
export async function copySuspended(source: string, target: string): Promise<void> {
  await copyOverlay(path.join(source, vmFiles.disk), target);
  await copyDifference(source, target);
}

/** Decides, durably, that the VM in `directory` is to be what is suspended in `source`. */
export async function stageReplacement(directory: string, source: string): Promise<void> {
  const building = path.join(directory, next);
  try {
    await rm(building, { recursive: true, force: true });
    await mkdir(building, { mode: 0o700 });
    await copySuspended(source, building);
    await rename(building, path.join(directory, staged));
    await syncDirectory(directory);
  } catch (error) {
    await rm(building, { recursive: true, force: true });
    throw error;
  }
}

export async function isReplacementStaged(directory: string): Promise<boolean> {
  return await isThere(path.join(directory, staged));
}

/** Takes the decision back. Only while the process of the VM runs. */
export async function unstageReplacement(directory: string): Promise<void> {
  await rm(path.join(directory, staged), { recursive: true, force: true });
  await syncDirectory(directory);
}

/** Puts a staged replacement in place, or what an earlier attempt left of it. No process may use the directory. */
export async function applyReplacement(directory: string): Promise<void> {
  const at = (name: string): string => path.join(directory, staged, name);
  if (await isThere(at(vmFiles.disk))) {
    // Until the disk is moved the difference there may be the old one, which does not go with the new disk.
    await rm(path.join(directory, currentDifference), { recursive: true, force: true });
    await syncDirectory(directory);
    await rename(at(vmFiles.disk), path.join(directory, vmFiles.disk));
    await syncDirectory(directory);
    // A disk still found here would mean that the difference moved next is the old one.
    await syncDirectory(path.join(directory, staged));
  }
  if (await isThere(at(currentDifference))) {
    await rename(at(currentDifference), path.join(directory, currentDifference));
    await syncDirectory(directory);
  }
  await rm(path.join(directory, staged), { recursive: true, force: true });
  await syncDirectory(directory);
}
