import { randomUUID } from 'node:crypto';
import { chmod, link, mkdir, rename, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { syncDirectory, writeFileDurably } from '../../blobs/durable.ts';
import { isThere } from '../../blobs/entries.ts';
import { allDone } from '../qemu/all-done.ts';
import { allocatedBytes, type BulkFileState, linkOrCopy, syncFile } from '../qemu/snapshot-files.ts';
import { assembleDirectory } from '../stored-state/assemble-directory.ts';
import { readSealed, sealed } from '../stored-state/sealed.ts';
import { SnapshotCorruptError, type SnapshotManifest } from '../vmm.ts';
import { copyState } from './sandbox-state.ts';
import { checkpointFiles, describeFiles, storedFile } from './stored-files.ts';

/** Content of a snapshot directory. Every path in it is relative, so it may be moved. */
export const snapshotFiles = {
  ...checkpointFiles,
  /** EROFS image that the sandbox's root stands on. */
  root: 'root.erofs',
  manifest: 'manifest.json',
} as const;

const parts = [snapshotFiles.kernel, snapshotFiles.index, snapshotFiles.pages, snapshotFiles.root] as const;
/** What a VM that was launched earlier still stands on. */
const lasting: readonly string[] = [snapshotFiles.pages, snapshotFiles.root];
/** Directory of the sleeping VM in a snapshot that was made of one. */
const state = 'state';

const positive = z.number().int().positive();

const manifestSchema = z.object({
  formatVersion: z.literal(1),
  id: z.uuid(),
  origin: z.object({
    vmm: z.literal('gvisor'),
    vmmVersion: z.string(),
    accelerator: z.literal('systrap'),
    architecture: z.enum(['x86_64', 'arm64']),
    machineType: z.string(),
    cpuModel: z.string(),
    kernelDigest: z.string(),
    initrdDigest: z.string(),
    agentProtocol: positive,
    deviceLayout: positive,
  }),
  shape: z.object({ memoryMib: positive, vcpus: positive }),
  memoryBytes: positive,
  diskBytes: positive,
  deviceStateBytes: positive,
  files: z.object({
    [snapshotFiles.kernel]: storedFile,
    [snapshotFiles.index]: storedFile,
    [snapshotFiles.pages]: storedFile,
    [snapshotFiles.root]: storedFile,
  }),
});
export type StoredManifest = z.output<typeof manifestSchema>;

export function snapshotPath(directory: string, file: keyof typeof snapshotFiles): string {
  return path.join(directory, snapshotFiles[file]);
}

export function publicManifest({ files: _files, ...manifest }: StoredManifest): SnapshotManifest {
  return manifest;
}

/** Whether a directory holds a snapshot of this engine, whole or not. */
export async function isSandboxSnapshot(directory: string): Promise<boolean> {
  return await isThere(snapshotPath(directory, 'root'));
}

/**
 * Makes `target` a durable, complete snapshot of a new checkpoint, or leaves nothing.
 * @param image directory of the checkpoint; its files are moved
 * @param helper the memory-difference program
 */
export async function storeSnapshot(
  target: string,
  { image, root }: { readonly image: string; readonly root: string },
  about: Pick<SnapshotManifest, 'origin' | 'shape'>,
  helper: string,
): Promise<StoredManifest> {
  return await assembleDirectory(target, async (partial) => {
    const at = (name: string): string => path.join(partial, name);
    await mkdir(partial, { mode: 0o700 });
    await allDone([
      ...Object.values(checkpointFiles).map((name) => rename(path.join(image, name), at(name))),
      linkOrCopy(root, at(snapshotFiles.root)),
    ]);
    const files = await describeFiles(partial, parts, helper);
    const manifest = manifestSchema.parse({
      formatVersion: 1,
      id: randomUUID(),
      ...about,
      memoryBytes: files[snapshotFiles.pages].bytes,
      diskBytes: await allocatedBytes(at(snapshotFiles.root)),
      deviceStateBytes: files[snapshotFiles.kernel].bytes + files[snapshotFiles.index].bytes,
      files,
    });
    await allDone(
      parts.map(async (name) => {
        await chmod(at(name), 0o444);
        await syncFile(at(name));
      }),
    );
    await writeFileDurably(at(snapshotFiles.manifest), sealed(manifest), 0o400);
    return manifest;
  });
}

/** @throws {SnapshotCorruptError} there is none, or it is damaged */
export async function readStoredManifest(directory: string): Promise<StoredManifest> {
  const manifest = await readSealed(
    snapshotPath(directory, 'manifest'),
    (content) => manifestSchema.parse(content),
    (cause) => new SnapshotCorruptError(`the manifest of ${directory} is damaged`, { cause }),
  );
  if (manifest !== undefined) return manifest;
  throw new SnapshotCorruptError(`${directory} holds no complete snapshot`);
}

/**
 * Checks presence and size of a snapshot's files.
 * @param use `launch` needs all files; `resume` those that a VM which was launched earlier stands on
 * @returns them, whose content nobody has looked at
 * @throws {SnapshotCorruptError}
 */
export async function checkFiles(
  directory: string,
  manifest: StoredManifest,
  use: 'launch' | 'resume',
): Promise<readonly BulkFileState[]> {
  return await allDone(
    parts
      .filter((name) => use === 'launch' || lasting.includes(name))
      .map(async (name) => {
        const file = path.join(directory, name);
        const found = await stat(file).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'ENOENT') throw error;
          throw new SnapshotCorruptError(`${file} is missing`, { cause: error });
        });
        const { bytes, checksum } = manifest.files[name];
        if (found.size === bytes) return { file, checksum, found };
        throw new SnapshotCorruptError(`${file} is ${found.size} bytes long instead of ${bytes}`);
      }),
  );
}

export function derivedState(snapshot: string): string {
  return path.join(snapshot, state);
}

export async function isDerived(snapshot: string): Promise<boolean> {
  return await isThere(derivedState(snapshot));
}

/** Makes `target` of what is suspended in `source`, a VM of `base`, durably, or leaves nothing. */
export async function deriveSnapshot(source: string, base: string, target: string): Promise<void> {
  await assembleDirectory(target, async (partial) => {
    await mkdir(derivedState(partial), { recursive: true, mode: 0o700 });
    await copyState(source, derivedState(partial));
    const names = Object.values(snapshotFiles);
    await Promise.all(names.map((name) => link(path.join(base, name), path.join(partial, name))));
    await syncDirectory(partial);
  });
}
