import { chmod, link, mkdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { syncDirectory, writeFileDurably } from '../../blobs/durable.ts';
import { step } from '../../telemetry/trace.ts';
import { consumeState, restoreState } from '../stored-state/consume.ts';
import { readSealed, sealed } from '../stored-state/sealed.ts';
import { DifferenceCorruptError, type DifferenceStats, SnapshotIncompatibleError } from '../vmm.ts';
import { allDone } from './all-done.ts';
import { vmFiles } from './arguments.ts';
import { checksumFiles, saveMemoryDifference } from './helper.ts';
import { sha256File } from './machine.ts';
import { allocatedBytes, syncFile } from './snapshot-files.ts';

/*
 * What a suspended VM is, besides its snapshot and its overlay disk: the directory `difference`. It is assembled
 * as `difference.next` and renamed once all of it, and the overlay, is durable: that rename is the suspend.
 *
 * The overlay is written in place as soon as the VM runs again, and memory older than its disk must never be
 * restored. So `difference` is renamed away, durably, right before the virtual CPUs start: that rename is the
 * resume. Until then a failed resume leaves the VM suspended; after it only the process holds the VM.
 */
export const currentDifference = 'difference';
const next = 'difference.next';
const consumed = 'difference.consumed';
const consumable = { current: currentDifference, consumed };
/** What a resume or an interrupted suspend leaves beside it. */
export const differenceRemains = [consumed, next] as const;

const names = { memory: 'memory', deviceState: 'device-state', manifest: 'manifest.json' } as const;

const size = z.number().int().nonnegative();
const manifestSchema = z.object({
  formatVersion: z.literal(1),
  snapshotId: z.uuid(),
  memoryFileBytes: size,
  deviceStateDigest: z.string(),
  diskFileBytes: size,
  /** Absent in what earlier versions stored, and of an overlay that is too large to be read each time. */
  memoryChecksum: z.string().optional(),
  diskChecksum: z.string().optional(),
  stats: z.object({ memoryBytes: size, diskBytes: size, deviceStateBytes: size }),
});
/** An overlay of more than this many bytes is not read at every suspend and wake. */
const mostChecked = 512 * 1024 ** 2;

export type DifferenceManifest = z.output<typeof manifestSchema>;

export function differencePath(directory: string, file: keyof typeof names): string {
  return path.join(directory, currentDifference, names[file]);
}

/** Device state as QEMU, whose working directory is the VM's, names it. */
export const differenceDeviceState = `${currentDifference}/${names.deviceState}`;

export interface DifferenceSource {
  readonly pid: number;
  readonly snapshotId: string;
  /** The snapshot's memory file, which the VMM maps. */
  readonly baseMemory: string;
  readonly helper: string;
  /** Stores the VMM's device state as this new file. */
  readonly saveDeviceState: (file: string) => Promise<void>;
}

/**
 * The VMM that is to read the stored device state has a user of its own; the directory around this one keeps others
 * out.
 */
export async function letVmmRead(directory: string): Promise<void> {
  await chmod(differencePath(directory, 'deviceState'), 0o444);
  await chmod(path.join(directory, currentDifference), 0o711);
}

/** With its name: a difference without its disk must never be found. */
async function syncDisk(directory: string): Promise<void> {
  await syncFile(path.join(directory, vmFiles.disk));
  await syncDirectory(directory);
}

/** Stores the difference of a paused VM durably. On failure nothing remains of the attempt. */
export async function storeDifference(directory: string, source: DifferenceSource): Promise<DifferenceStats> {
  const building = path.join(directory, next);
  const disk = path.join(directory, vmFiles.disk);
  const memory = path.join(building, names.memory);
  const deviceState = path.join(building, names.deviceState);
  try {
    await rm(building, { recursive: true, force: true });
    await mkdir(building, { mode: 0o700 });
    await allDone([
      step('memory difference stored', () =>
        saveMemoryDifference(source.helper, source.pid, source.baseMemory, memory),
      ),
      step('device state stored', () =>
        source.saveDeviceState(deviceState).then(() => syncFile(deviceState)),
      ),
      step('disk synced', () => syncDisk(directory)),
    ]);
    const diskBytes = await allocatedBytes(disk);
    const [memoryFile, deviceStateFile, diskFile] = await Promise.all(
      [memory, deviceState, disk].map((file) => stat(file)),
    );
    const stats = {
      memoryBytes: memoryFile?.size ?? 0,
      deviceStateBytes: deviceStateFile?.size ?? 0,
      diskBytes,
    };
    const checked = diskBytes > mostChecked ? [memory] : [memory, disk];
    const [deviceStateDigest, [memoryChecksum, diskChecksum]] = await allDone([
      sha256File(deviceState),
      step('checksums', () => checksumFiles(source.helper, checked)),
    ]);
    const manifest: DifferenceManifest = {
      formatVersion: 1,
      snapshotId: source.snapshotId,
      memoryFileBytes: stats.memoryBytes,
      deviceStateDigest,
      diskFileBytes: diskFile?.size ?? 0,
      memoryChecksum,
      ...(diskChecksum === undefined ? {} : { diskChecksum }),
      stats,
    };
    await step('made durable', async () => {
      await writeFileDurably(path.join(building, names.manifest), sealed(manifest));
      await rename(building, path.join(directory, currentDifference));
      await syncDirectory(directory);
    });
    return stats;
  } catch (error) {
    // Nor may one be found that was renamed but is not known to be durable: the VM goes on without it.
    await allDone(
      [next, currentDifference].map((name) =>
        rm(path.join(directory, name), { recursive: true, force: true }),
      ),
    );
    throw error;
  }
}

/** The stored difference's manifest; undefined when the VM is not suspended. */
export async function readDifference(directory: string): Promise<DifferenceManifest | undefined> {
  return await readSealed(
    differencePath(directory, 'manifest'),
    (content) => manifestSchema.parse(content),
    (cause) =>
      new DifferenceCorruptError(`the description of the VM suspended in ${directory} is damaged`, { cause }),
  );
}

/**
 * Checks all of a difference but the memory's content, which is checked as it is applied.
 * @param helper the memory-difference program
 * @throws {DifferenceCorruptError} a part is missing, cut short or altered
 * @throws {SnapshotIncompatibleError} it belongs to another snapshot
 */
export async function openDifference(
  directory: string,
  snapshotId: string,
  helper: string,
): Promise<DifferenceManifest> {
  const manifest = await readDifference(directory);
  if (manifest === undefined) throw new DifferenceCorruptError(`${directory} holds no suspended VM`);
  if (manifest.snapshotId !== snapshotId) {
    throw new SnapshotIncompatibleError(
      `the VM was suspended from snapshot ${manifest.snapshotId}, not ${snapshotId}`,
    );
  }
  const disk = path.join(directory, vmFiles.disk);
  const files = [differencePath(directory, 'memory'), differencePath(directory, 'deviceState'), disk];
  const [memorySize, deviceStateSize, diskSize] = await Promise.all(files.map(sizeOf));
  if (memorySize !== manifest.memoryFileBytes) throw damaged(directory, 'memory');
  if (deviceStateSize === undefined) throw damaged(directory, 'device state');
  if (diskSize === undefined || diskSize < manifest.diskFileBytes) throw damaged(directory, 'disk');
  const { diskChecksum } = manifest;
  const [digest, sums] = await allDone([
    sha256File(differencePath(directory, 'deviceState')),
    diskChecksum === undefined ? [] : checksumFiles(helper, [disk]),
  ]);
  if (digest !== manifest.deviceStateDigest) throw damaged(directory, 'device state');
  if (sums[0] !== diskChecksum) throw damaged(directory, 'disk');
  return manifest;
}

/** Reads all of what a suspended VM has stored. @throws {DifferenceCorruptError} as {@link openDifference} */
export async function verifyDifference(directory: string, snapshotId: string, helper: string): Promise<void> {
  const { memoryChecksum } = await openDifference(directory, snapshotId, helper);
  const [found] = await checksumFiles(helper, [differencePath(directory, 'memory')]);
  if (memoryChecksum !== undefined && found !== memoryChecksum) throw damaged(directory, 'memory');
}

/** As {@link verifyDifference}, of whichever snapshot it is. @throws {DifferenceCorruptError} nothing is there */
export async function verifySuspended(directory: string, helper: string): Promise<void> {
  const stored = await readDifference(directory);
  if (stored === undefined) throw new DifferenceCorruptError(`${directory} holds no suspended VM`);
  await verifyDifference(directory, stored.snapshotId, helper);
}

/** Undefined where there is no such file. */
async function sizeOf(file: string): Promise<number | undefined> {
  return await stat(file).then(
    ({ size: bytes }) => bytes,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    },
  );
}

function damaged(directory: string, part: string): DifferenceCorruptError {
  return new DifferenceCorruptError(`the ${part} of the VM suspended in ${directory} is damaged`);
}

/**
 * Gives a directory that has its copy of the overlay the difference of another, durably. The files are shared:
 * nothing ever writes to one in place.
 */
export async function copyDifference(from: string, to: string): Promise<void> {
  const building = path.join(to, next);
  await mkdir(building, { mode: 0o700 });
  await allDone([
    ...Object.values(names).map((name) =>
      link(path.join(from, currentDifference, name), path.join(building, name)),
    ),
    syncDisk(to),
  ]);
  await syncDirectory(building);
  await rename(building, path.join(to, currentDifference));
  await syncDirectory(to);
}

/**
 * Makes sure that the stored difference, if there is one, is never restored again: call right before the virtual
 * CPUs start. Durable when it resolves, with whether there was one.
 */
export async function consumeDifference(directory: string): Promise<boolean> {
  return await consumeState(directory, consumable);
}

/** Takes a {@link consumeDifference} back. Right only where it is certain that the virtual CPUs did not start. */
export async function restoreDifference(directory: string): Promise<void> {
  await restoreState(directory, consumable);
}

/** Frees what a resume or an interrupted suspend left. */
export async function removeDifferenceRemains(directory: string): Promise<void> {
  await Promise.all(
    differenceRemains.map((name) => rm(path.join(directory, name), { recursive: true, force: true })),
  );
}
