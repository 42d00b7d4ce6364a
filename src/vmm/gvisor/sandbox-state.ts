import { randomUUID } from 'node:crypto';
import { link, mkdir, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { syncDirectory, writeFileDurably } from '../../blobs/durable.ts';
import { isThere } from '../../blobs/entries.ts';
import { step } from '../../telemetry/trace.ts';
import { allDone } from '../qemu/all-done.ts';
import { syncFile } from '../qemu/snapshot-files.ts';
import { readSealed, sealed } from '../stored-state/sealed.ts';
import { DifferenceCorruptError, type DifferenceStats, SnapshotIncompatibleError } from '../vmm.ts';
import { applyPageDifference, type PageHelpers, savePageDifference } from './pages.ts';
import { checkpointFiles, describeFiles, storedFile } from './stored-files.ts';
import { sandboxFiles } from './vm-files.ts';

/*
 * What a suspended microVM is, besides its snapshot: the directory `sandbox-state`, with a checkpoint whose pages are
 * stored as what of them is not in the snapshot's. It is assembled beside its place and renamed once all of it is
 * durable: that rename is the suspend. It is renamed away, durably, before anybody talks to the resumed sandbox: that
 * rename is the resume.
 */
export const currentState = 'sandbox-state';
const nextPrefix = 'sandbox-state.next-';
const consumed = 'sandbox-state.consumed';
export const consumable = { current: currentState, consumed };
/** A state that a microVM goes back to; from its rename to this name on it is the microVM. */
const replacement = 'sandbox-state.replacement';

const names = { kernel: checkpointFiles.kernel, index: checkpointFiles.index, pages: 'pages' } as const;
const parts = Object.values(names);
const manifestName = 'manifest.json';

const size = z.number().int().nonnegative();
const manifestSchema = z.object({
  formatVersion: z.literal(1),
  snapshotId: z.uuid(),
  files: z.object({
    [names.kernel]: storedFile,
    [names.index]: storedFile,
    [names.pages]: storedFile,
  }),
  stats: z.object({ memoryBytes: size, diskBytes: size, deviceStateBytes: size }),
});
export type StateManifest = z.output<typeof manifestSchema>;

/** Whether a name in a microVM's directory is of something cut short. */
export function isUnsettled(name: string): boolean {
  return name.startsWith(nextPrefix) || name === consumed || name === replacement;
}

export interface StateSource {
  readonly snapshotId: string;
  readonly basePages: string;
  readonly helpers: PageHelpers;
  /** Makes a checkpoint in a new directory. */
  readonly checkpoint: (image: string) => Promise<void>;
}

/** Stores a microVM durably in `directory`. On failure nothing remains of the attempt. */
export async function storeState(directory: string, source: StateSource): Promise<DifferenceStats> {
  const building = path.join(directory, `${nextPrefix}${randomUUID()}`);
  const at = (name: string): string => path.join(building, name);
  const image = at('image');
  try {
    await mkdir(building, { mode: 0o700 });
    await step('checkpoint', () => source.checkpoint(image));
    await step('pages compared', () =>
      savePageDifference(
        source.helpers,
        source.basePages,
        path.join(image, checkpointFiles.pages),
        at(names.pages),
      ),
    );
    await allDone(
      [names.kernel, names.index].map(async (name) => {
        await rename(path.join(image, name), at(name));
        await syncFile(at(name));
      }),
    );
    await rm(image, { recursive: true });
    const files = await describeFiles(building, parts, source.helpers.memoryDifference);
    const stats = {
      memoryBytes: files[names.pages].bytes,
      diskBytes: 0,
      deviceStateBytes: files[names.kernel].bytes + files[names.index].bytes,
    };
    const manifest: StateManifest = { formatVersion: 1, snapshotId: source.snapshotId, files, stats };
    await step('made durable', async () => {
      await writeFileDurably(at(manifestName), sealed(manifest));
      await rename(building, path.join(directory, currentState));
      await syncDirectory(directory);
    });
    return stats;
  } catch (error) {
    // Nor may one be found that was renamed but is not known to be durable: the microVM goes on without it.
    await allDone(
      [building, path.join(directory, currentState)].map((name) =>
        rm(name, { recursive: true, force: true }),
      ),
    );
    throw error;
  }
}

/** Undefined when nothing is stored. @throws {DifferenceCorruptError} it is damaged */
export async function readState(directory: string): Promise<StateManifest | undefined> {
  return await readSealed(
    path.join(directory, currentState, manifestName),
    (content) => manifestSchema.parse(content),
    (cause) =>
      new DifferenceCorruptError(`the description of the VM suspended in ${directory} is damaged`, { cause }),
  );
}

/**
 * Reads all of what is stored.
 * @throws {DifferenceCorruptError} a part is missing, cut short or altered
 * @throws {SnapshotIncompatibleError} it belongs to another snapshot
 */
export async function verifyState(
  directory: string,
  snapshotId: string | undefined,
  helper: string,
): Promise<StateManifest> {
  const manifest = await readState(directory);
  if (manifest === undefined) throw new DifferenceCorruptError(`${directory} holds no suspended VM`);
  if (snapshotId !== undefined && manifest.snapshotId !== snapshotId) {
    throw new SnapshotIncompatibleError(
      `the VM was suspended from snapshot ${manifest.snapshotId}, not ${snapshotId}`,
    );
  }
  const stored = path.join(directory, currentState);
  for (const name of parts) {
    if (await isThere(path.join(stored, name))) continue;
    throw new DifferenceCorruptError(`the ${name} of the VM suspended in ${directory} is missing`);
  }
  const found = await describeFiles(stored, parts, helper);
  for (const name of parts) {
    const { bytes, checksum } = manifest.files[name];
    if (found[name].bytes === bytes && found[name].checksum === checksum) continue;
    throw new DifferenceCorruptError(`the ${name} of the VM suspended in ${directory} is damaged`);
  }
  return manifest;
}

/** Makes a whole checkpoint of what is stored; returns its directory. */
export async function assembleCheckpoint(
  directory: string,
  basePages: string,
  helpers: PageHelpers,
): Promise<string> {
  const image = path.join(directory, sandboxFiles.restore);
  const stored = path.join(directory, currentState);
  await rm(image, { recursive: true, force: true });
  await mkdir(image, { mode: 0o700 });
  await allDone([
    ...[names.kernel, names.index].map((name) => link(path.join(stored, name), path.join(image, name))),
    step('pages assembled', () =>
      applyPageDifference(
        helpers,
        basePages,
        path.join(stored, names.pages),
        path.join(image, checkpointFiles.pages),
      ),
    ),
  ]);
  return image;
}

/** Frees what a resume or an interrupted suspend left. */
export async function removeStateRemains(directory: string): Promise<void> {
  const left = (await readdir(directory)).filter(
    (name) => name.startsWith(nextPrefix) || name === consumed || name === sandboxFiles.restore,
  );
  await Promise.all(left.map((name) => rm(path.join(directory, name), { recursive: true, force: true })));
}

/** Makes `target`, existing and empty, hold what is stored in `source`, durably. Files are shared: none is changed. */
export async function copyState(source: string, target: string): Promise<void> {
  const building = path.join(target, `${nextPrefix}${randomUUID()}`);
  await linkState(source, building);
  await rename(building, path.join(target, currentState));
  await syncDirectory(target);
}

async function linkState(source: string, target: string): Promise<void> {
  if (!(await isThere(path.join(source, currentState, manifestName)))) {
    throw new DifferenceCorruptError(`${source} holds no suspended VM`);
  }
  await mkdir(target, { mode: 0o700 });
  await allDone(
    [...parts, manifestName].map((name) =>
      link(path.join(source, currentState, name), path.join(target, name)),
    ),
  );
  await syncDirectory(target);
}

/** Decides, durably, that the microVM in `directory` is to be what is stored in `source`. */
export async function stageReplacement(directory: string, source: string): Promise<void> {
  const building = path.join(directory, `${nextPrefix}${randomUUID()}`);
  try {
    await linkState(source, building);
    await rename(building, path.join(directory, replacement));
    await syncDirectory(directory);
  } catch (error) {
    await rm(building, { recursive: true, force: true });
    throw error;
  }
}

export async function isReplacementStaged(directory: string): Promise<boolean> {
  return await isThere(path.join(directory, replacement));
}

/** Takes the decision back. Only while the sandbox runs. */
export async function unstageReplacement(directory: string): Promise<void> {
  await rm(path.join(directory, replacement), { recursive: true, force: true });
  await syncDirectory(directory);
}

/** Puts a staged state in place; may be cut short anywhere and repeated. No sandbox may use the directory. */
export async function applyReplacement(directory: string): Promise<void> {
  await rm(path.join(directory, currentState), { recursive: true, force: true });
  await rename(path.join(directory, replacement), path.join(directory, currentState));
  await syncDirectory(directory);
}
