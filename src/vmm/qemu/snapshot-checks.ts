import { DifferenceCorruptError, SnapshotCorruptError } from '../vmm.ts';
import { derivedState, isDerived } from './derived-snapshot.ts';
import { verifyDifference } from './difference.ts';
import { checksumFiles } from './helper.ts';
import { type BulkFileState, checkFiles, readStoredManifest, type StoredManifest } from './snapshot-files.ts';

/**
 * Sees to it that no guest runs on a damaged snapshot. Reading gigabytes at each launch would take longer than the
 * launch, so a file that was found whole counts as whole until it is another file or has been written to. What goes
 * bad on the disk meanwhile is found by who reads everything again ({@link verifySnapshot}).
 */
export class SnapshotChecks {
  readonly #helper: string;
  readonly #whole = new Set<string>();
  /** By file: all who need one wait for one reading of it. */
  readonly #reading = new Map<string, Promise<void>>();

  /** @param helper the memory-difference program */
  constructor(helper: string) {
    this.#helper = helper;
  }

  /** @throws {SnapshotCorruptError} naming the first damaged file */
  async confirm(files: readonly BulkFileState[]): Promise<void> {
    await Promise.all(files.map((state) => this.#confirm(state)));
  }

  /** Notes files as whole whose checksums have just been made of what is in them. */
  trust(files: readonly BulkFileState[]): void {
    for (const state of files) this.#whole.add(identityOf(state));
  }

  /** Reads files again that have been found whole. @throws {SnapshotCorruptError} */
  async reconfirm(files: readonly BulkFileState[]): Promise<void> {
    for (const state of files) this.#whole.delete(identityOf(state));
    await this.confirm(files);
  }

  async #confirm(state: BulkFileState): Promise<void> {
    const identity = identityOf(state);
    if (this.#whole.has(identity)) return;
    const reading = this.#reading.get(identity) ?? this.#read(state, identity);
    await reading;
  }

  #read(state: BulkFileState, identity: string): Promise<void> {
    const reading = assertWhole(state, this.#helper)
      .then(() => {
        this.#whole.add(identity);
      })
      .finally(() => this.#reading.delete(identity));
    this.#reading.set(identity, reading);
    return reading;
  }
}

/** The same for all names of one file, so that snapshots which share it share its check. */
function identityOf({ found, checksum }: BulkFileState): string {
  return [found.dev, found.ino, found.size, found.mtimeMs, checksum].join(' ');
}

async function assertWhole({ file, checksum }: BulkFileState, helper: string): Promise<void> {
  const [sum] = await checksumFiles(helper, [file]);
  if (sum !== checksum) throw new SnapshotCorruptError(`${file} is damaged`);
}

/**
 * Reads a whole snapshot and compares it with the checksums made when it was taken.
 * @throws {SnapshotCorruptError} naming the first damaged file
 */
export async function verifySnapshot(
  directory: string,
  helper: string,
  checks = new SnapshotChecks(helper),
): Promise<StoredManifest> {
  const manifest = await readStoredManifest(directory);
  await checks.reconfirm(await checkFiles(directory, manifest, 'launch'));
  if (await isDerived(directory)) {
    await verifyDifference(derivedState(directory), manifest.id, helper).catch(blame(directory));
  }
  return manifest;
}

/** A snapshot made of a sleeping VM is damaged where what it holds of that VM is. */
export function blame(snapshot: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof DifferenceCorruptError)) throw error;
    throw new SnapshotCorruptError(`${snapshot} is damaged: ${error.message}`, { cause: error });
  };
}
