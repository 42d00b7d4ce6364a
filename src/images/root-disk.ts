import { stat } from 'node:fs/promises';
import path from 'node:path';
import { diskFull, platformError } from './build-failure.ts';
import type { ContainerEngine } from './container-engine.ts';
import { within } from './time-limit.ts';
import type { AccountFiles } from './users.ts';

export interface RootDisk {
  /** Raw image file to create. */
  readonly file: string;
  readonly sizeMib: number;
}

/** Largest account file taken from an image. */
const accountFileBytes = 1024 * 1024;
const diskBlockBytes = 512;
/** Making a file system takes quadratic time of the files in one directory, so what a build made could take hours. */
const writeLimitMs = 900_000;
const readLimitMs = 60_000;
const memoryLimit = `--as=${2 * 1024 ** 3}`;

/**
 * Mounts a container of the image where nobody else sees it and copies it into a new ext4 file system. The file
 * is fresh, so its holes are zeros already: nothing needs to be initialised, now or by the guest.
 */
const exportScript = `
set -eu
image=$1 disk=$2 size=$3 limit=$4
shift 4
container=$(buildah from "$@" --pull-never "$image")
trap 'buildah rm "$container" >/dev/null 2>&1' EXIT
tree=$(buildah mount "$container")
prlimit "$limit" -- mke2fs -q -t ext4 -m 0 -F -L root -O ^resize_inode,^has_journal \
  -E lazy_itable_init=1,assume_storage_prezeroed=1,nodiscard -d "$tree" "$disk" "$size"
`;

/**
 * Writes an image's tree into a sparse ext4 file system.
 * @returns the space its content takes, in bytes
 * @throws {BuildFailure} DISK_STORAGE_FULL when the tree does not fit, CONTAINER_BUILD_FAILED when it takes too long
 */
export async function writeRootDisk(
  engine: ContainerEngine,
  imageId: string,
  disk: RootDisk,
  signal: AbortSignal,
): Promise<number> {
  const words = [imageId, disk.file, `${disk.sizeMib}M`, memoryLimit, ...engine.policy];
  const what = "The image's files could not be written to a disk";
  const { code, stderr } = await within(signal, writeLimitMs, what, (limited) =>
    engine.runConfined(
      ['sh', '-c', exportScript, 'export-root-disk', ...words],
      { readOnly: [], writable: [path.dirname(disk.file)] },
      { signal: limited },
    ),
  );
  if (code !== 0) {
    if (/could not allocate|no space left|file system is full/i.test(stderr)) {
      throw diskFull(`The image does not fit on its disk of ${disk.sizeMib} MiB.`);
    }
    throw platformError(new Error(`cannot write the root file system: ${stderr.trim()}`));
  }
  return (await stat(disk.file)).blocks * diskBlockBytes;
}

/**
 * Reads the account files out of a root disk. They are looked up inside the file system's image, so no symbolic
 * link in it can lead to a file of the host.
 */
export async function readAccountFiles(
  engine: ContainerEngine,
  disk: string,
  signal: AbortSignal,
): Promise<AccountFiles> {
  const read = async (name: string): Promise<string> => {
    const { stdout } = await within(
      signal,
      readLimitMs,
      "The image's accounts could not be read",
      (limited) =>
        engine.runConfined(
          ['prlimit', memoryLimit, '--', 'debugfs', '-R', `cat ${name}`, disk],
          { readOnly: [disk], writable: [] },
          { signal: limited },
        ),
    );
    return stdout.slice(0, accountFileBytes);
  };
  return { passwd: await read('/etc/passwd'), group: await read('/etc/group') };
}
