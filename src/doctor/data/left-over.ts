import { rm } from 'node:fs/promises';
import path from 'node:path';
import { syncDirectory } from '../../blobs/durable.ts';
import type { Finding, FindingKind } from './finding.ts';

export async function remove(file: string): Promise<void> {
  await rm(file, { recursive: true, force: true });
  await syncDirectory(path.dirname(file));
}

/** What could not be read says nothing of what is in it, and is no reason to give it up. */
export function unreadable(why: string): Pick<Finding, 'detail' | 'remedy'> {
  return { detail: `cannot be read: ${why}`, remedy: 'look after the disk, and examine it again' };
}

/** Files that nothing refers to. */
export function leftOver(kind: FindingKind, file: string, detail: string): Finding {
  return { kind, subject: file, detail, repair: { does: `remove ${file}`, run: () => remove(file) } };
}
