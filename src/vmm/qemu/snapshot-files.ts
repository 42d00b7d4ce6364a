import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import type { Stats } from 'node:fs';
import { chmod, chown, link, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { writeFileDurably } from '../../blobs/durable.ts';
import { assembleDirectory } from '../stored-state/assemble-directory.ts';
import { readSealed, sealed } from '../stored-state/sealed.ts';
import { SnapshotCorruptError, type SnapshotManifest } from '../vmm.ts';
import { allDone } from './all-done.ts';
import { checksumFiles } from './helper.ts';
import { sha256File } from './machine.ts';

const run = promisify(execFile);

/** Content of a snapshot directory. Every path in it is relative, so it may be moved. */
export const snapshotFiles = {
  memory: 'memory',
  deviceState: 'device-state',
  /** Changes the build VM made, over `root`. */
  disk: 'disk.qcow2',
  root: 'root.ext4',
  /** Empty overlay that each launch copies. */
  overlay: 'overlay.qcow2',
  manifest: 'manifest.json',
} as const;

/** Too large to be read at each launch: {@link SnapshotChecks} remembers which it has read. */
const bulkFiles = ['memory', 'disk', 'root', 'overlay'] as const;
type BulkFile = (typeof bulkFiles)[number];
/** What a VM that was launched earlier still stands on. */
const lasting: readonly BulkFile[] = ['memory', 'disk', 'root'];

const positive = z.number().int().positive();
const stored = z.object({ bytes: positive, checksum: z.string() });

const manifestSchema = z.object({
  formatVersion: z.literal(1),
  id: z.uuid(),
  origin: z.object({
    vmm: z.enum(['qemu', 'firecracker', 'gvisor']),
    vmmVersion: z.string(),
    accelerator: z.enum(['kvm', 'tcg', 'systrap']),
    architecture: z.enum(['x86_64', 'arm64']),
    machineType: z.string(),
    cpuModel: z.string(),
    kernelDigest: z.string(),
    initrdDigest: z.string(),
    // Absent in what earlier versions made: the first of each.
    agentProtocol: positive.default(1),
    deviceLayout: positive.default(1),
  }),
  shape: z.object({ memoryMib: positive, vcpus: positive }),
  memoryBytes: positive,
  diskBytes: positive,
  deviceStateBytes: positive,
  files: z.object({ memory: stored, disk: stored, root: stored, overlay: stored, deviceState: stored }),
});
export type StoredManifest = z.output<typeof manifestSchema>;

export function snapshotPath(directory: string, file: keyof typeof snapshotFiles): string {
  return path.join(directory, snapshotFiles[file]);
}

/** Bytes a file takes on the disk; holes take none. */
export async function allocatedBytes(file: string): Promise<number> {
  return (await stat(file)).blocks * 512;
}

export async function syncFile(file: string): Promise<void> {
  const handle = await open(file, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** VMMs, each with a user of its own, read the file; only they and the server come near it. */
async function shareReadOnly(file: string): Promise<void> {
  await chown(file, process.getuid?.() ?? 0, process.getgid?.() ?? 0);
  await chmod(file, 0o444);
}

/** Gives `source` a second name, or a sparse copy where the file system cannot. */
export async function linkOrCopy(source: string, target: string): Promise<void> {
  try {
    await link(source, target);
  } catch {
    await run('cp', ['--sparse=always', '--reflink=auto', '--', source, target]);
  }
}

async function moveFile(source: string, target: string): Promise<void> {
  try {
    await rename(source, target);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EXDEV')) throw error;
    await linkOrCopy(source, target);
    await rm(source);
  }
}

/** Gives back the room of zeros. A file system that cannot only keeps more than it needs. */
async function digHoles(file: string): Promise<void> {
  await run('fallocate', ['--dig-holes', file]).catch(() => undefined);
}

export interface SnapshotSources {
  /** Files of the ended build VM; moved. */
  readonly memory: string;
  readonly deviceState: string;
  readonly disk: string;
  readonly overlay: string;
  /** Shared with the caller, therefore linked or copied. */
  readonly root: string;
}

/**
 * Makes `target` a durable, complete snapshot, or leaves nothing: it is assembled beside its place and renamed.
 * @param helper the memory-difference program
 */
export async function storeSnapshot(
  target: string,
  sources: SnapshotSources,
  about: Pick<SnapshotManifest, 'origin' | 'shape'>,
  helper: string,
): Promise<StoredManifest> {
  return await assembleDirectory(target, async (partial) => {
    const at = (file: keyof typeof snapshotFiles): string => snapshotPath(partial, file);
    await mkdir(partial);
    await chmod(partial, 0o711);
    await allDone([
      moveFile(sources.memory, at('memory')),
      moveFile(sources.deviceState, at('deviceState')),
      moveFile(sources.disk, at('disk')),
      moveFile(sources.overlay, at('overlay')),
      linkOrCopy(sources.root, at('root')),
    ]);
    await digHoles(at('memory'));
    const files = await describeFiles(partial, helper);
    const manifest: StoredManifest = {
      formatVersion: 1,
      id: randomUUID(),
      ...about,
      memoryBytes: await allocatedBytes(at('memory')),
      diskBytes: await allocatedBytes(at('disk')),
      deviceStateBytes: files.deviceState.bytes,
      files,
    };
    await allDone(
      [...bulkFiles, 'deviceState' as const].map(async (file) => {
        await shareReadOnly(at(file));
        await syncFile(at(file));
      }),
    );
    await writeFileDurably(at('manifest'), sealed(manifest), 0o400);
    return manifest;
  });
}

async function describeFiles(directory: string, helper: string): Promise<StoredManifest['files']> {
  const describe = async (
    file: keyof typeof snapshotFiles,
    checksum: string,
  ): Promise<{ bytes: number; checksum: string }> => ({
    bytes: (await stat(snapshotPath(directory, file))).size,
    checksum,
  });
  const [sums, digest] = await Promise.all([
    checksumFiles(
      helper,
      bulkFiles.map((file) => snapshotPath(directory, file)),
    ),
    sha256File(snapshotPath(directory, 'deviceState')),
  ]);
  const sum = (index: number): string => sums[index] ?? '';
  return {
    memory: await describe('memory', sum(0)),
    disk: await describe('disk', sum(1)),
    root: await describe('root', sum(2)),
    overlay: await describe('overlay', sum(3)),
    deviceState: await describe('deviceState', `sha256:${digest}`),
  };
}

export function publicManifest({ files: _files, ...manifest }: StoredManifest): SnapshotManifest {
  return manifest;
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

/** A file of a snapshot, and what it has to be. */
export interface BulkFileState {
  readonly file: string;
  readonly checksum: string;
  readonly found: Stats;
}

/**
 * Checks what can be checked of a snapshot in a few milliseconds: every file's presence and size and the device
 * state's content.
 * @param use `launch` needs all files; `resume` those that a VM which was launched earlier stands on
 * @returns the large files, whose content nobody has looked at
 * @throws {SnapshotCorruptError}
 */
export async function checkFiles(
  directory: string,
  manifest: StoredManifest,
  use: 'launch' | 'resume',
): Promise<readonly BulkFileState[]> {
  if (manifest.files.memory.bytes !== manifest.shape.memoryMib * 1024 * 1024) {
    throw new SnapshotCorruptError(`the memory of ${directory} does not have the machine's size`);
  }
  const states = (use === 'launch' ? bulkFiles : lasting).map(async (name) => {
    const found = await checkSize(directory, manifest, name);
    return { file: snapshotPath(directory, name), checksum: manifest.files[name].checksum, found };
  });
  const deviceState = use === 'launch' ? checkDeviceState(directory, manifest) : undefined;
  const [bulk] = await allDone([allDone(states), deviceState]);
  return bulk;
}

async function checkSize(
  directory: string,
  manifest: StoredManifest,
  name: BulkFile | 'deviceState',
): Promise<Stats> {
  const file = snapshotPath(directory, name);
  const found = await stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new SnapshotCorruptError(`${file} is missing`, { cause: error });
  });
  const { bytes } = manifest.files[name];
  if (found.size === bytes) return found;
  throw new SnapshotCorruptError(`${file} is ${found.size} bytes long instead of ${bytes}`);
}

async function checkDeviceState(directory: string, manifest: StoredManifest): Promise<void> {
  await checkSize(directory, manifest, 'deviceState');
  const file = snapshotPath(directory, 'deviceState');
  if (`sha256:${await sha256File(file)}` === manifest.files.deviceState.checksum) return;
  throw new SnapshotCorruptError(`${file} is damaged`);
}
