import { chmod, link, mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { syncDirectory } from '../../blobs/durable.ts';
import { isThere } from '../../blobs/entries.ts';
import { assembleDirectory } from '../stored-state/assemble-directory.ts';
import { copySuspended } from './replacement.ts';
import { snapshotFiles } from './snapshot-files.ts';

/*
 * A snapshot made of a VM that was launched from another: the files of that one under further names, and beside
 * them what the VM was when it slept. Nothing of it depends on the other, which may be deleted. It is launched from
 * by continuing copies of the sleeping VM. A snapshot of a VM launched from it stands on the same files again, so
 * however many there are in a row each has one difference.
 */
const state = 'state';

/** Directory of the sleeping VM in a derived snapshot. */
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
    await chmod(partial, 0o711);
    await copySuspended(source, derivedState(partial));
    const names = new Set<string>(Object.values(snapshotFiles));
    const files = (await readdir(base)).filter((name) => names.has(name));
    await Promise.all(files.map((name) => link(path.join(base, name), path.join(partial, name))));
    await syncDirectory(partial);
  });
}
