import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmod, chown, link, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { syncDirectory, writeFileDurably } from '../../blobs/durable.ts';
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

/** Too large to be read at each launch; checked by {@link verifySnapshot}. */
const bulkFiles = ['memory', 'disk', 'root', 'overlay'] as const;

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
  }),
  shape: z.object({ memoryMib: positive, vcpus: positive }),
  memoryBytes: positive,
  diskBytes: positive,
  deviceStateBytes: positive,
  files: z.object({ memory: stored, disk: stored, root: stored, overlay: stored, deviceState: stored }),
});
type StoredManifest = z.output<typeof manifestSchema>;

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
async function linkOrCopy(source: string, target: string): Promise<void> {
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
): Promise<SnapshotManifest> {
  const partial = `${target}.partial-${randomUUID()}`;
  const at = (file: keyof typeof snapshotFiles): string => snapshotPath(partial, file);
  try {
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
    await writeFileDurably(at('manifest'), JSON.stringify(manifest, undefined, 2), 0o400);
    await rename(partial, target);
    await syncDirectory(path.dirname(target));
    return publicManifest(manifest);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
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
  const sum = (index: number): string => `crc32c:${sums[index] ?? ''}`;
  return {
    memory: await describe('memory', sum(0)),
    disk: await describe('disk', sum(1)),
    root: await describe('root', sum(2)),
    overlay: await describe('overlay', sum(3)),
    deviceState: await describe('deviceState', `sha256:${digest}`),
  };
}

function publicManifest({ files: _files, ...manifest }: StoredManifest): SnapshotManifest {
  return manifest;
}

async function readStoredManifest(directory: string): Promise<StoredManifest> {
  const text = await readFile(snapshotPath(directory, 'manifest'), 'utf8').catch((error: unknown) => {
    throw new SnapshotCorruptError(`${directory} holds no complete snapshot`, { cause: error });
  });
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new SnapshotCorruptError(`the manifest of ${directory} is damaged`, { cause: error });
  }
}

async function checkSizes(directory: string, manifest: StoredManifest): Promise<void> {
  await Promise.all(
    [...bulkFiles, 'deviceState' as const].map(async (file) => {
      const found = await stat(snapshotPath(directory, file)).catch(() => undefined);
      if (found?.size === manifest.files[file].bytes) return;
      const size = found === undefined ? 'missing' : `${found.size} bytes long`;
      throw new SnapshotCorruptError(
        `${snapshotPath(directory, file)} is ${size} instead of ${manifest.files[file].bytes}`,
      );
    }),
  );
  const memory = manifest.shape.memoryMib * 1024 * 1024;
  if (manifest.files.memory.bytes !== memory) {
    throw new SnapshotCorruptError(`the memory of ${directory} does not have the machine's size`);
  }
}

/**
 * Reads a snapshot's manifest and checks what can be checked in a few milliseconds: every file's presence and
 * size and the device state's content.
 * @throws {SnapshotCorruptError}
 */
export async function openSnapshot(directory: string): Promise<SnapshotManifest> {
  const manifest = await readStoredManifest(directory);
  await checkSizes(directory, manifest);
  const digest = `sha256:${await sha256File(snapshotPath(directory, 'deviceState'))}`;
  if (digest !== manifest.files.deviceState.checksum) {
    throw new SnapshotCorruptError(`the device state of ${directory} is damaged`);
  }
  return publicManifest(manifest);
}

/**
 * Reads a whole snapshot and compares it with the checksums made when it was taken.
 * @param helper the memory-difference program
 * @throws {SnapshotCorruptError} naming the first damaged file
 */
export async function verifySnapshot(directory: string, helper: string): Promise<SnapshotManifest> {
  const manifest = await readStoredManifest(directory);
  await checkSizes(directory, manifest);
  const files = await describeFiles(directory, helper);
  for (const file of [...bulkFiles, 'deviceState' as const]) {
    if (files[file].checksum !== manifest.files[file].checksum) {
      throw new SnapshotCorruptError(`${snapshotPath(directory, file)} is damaged`);
    }
  }
  return publicManifest(manifest);
}
