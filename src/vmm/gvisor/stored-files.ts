import { stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { checksumFiles } from '../qemu/helper.ts';

/** What runsc names the parts of a checkpoint. */
export const checkpointFiles = {
  kernel: 'checkpoint.img',
  pages: 'pages.img',
  index: 'pages_meta.img',
} as const;

export const storedFile = z.object({ bytes: z.number().int().nonnegative(), checksum: z.string() });
export type StoredFile = z.output<typeof storedFile>;

/** Sizes and checksums of files, by their names. @param helper the memory-difference program */
export async function describeFiles<Name extends string>(
  directory: string,
  names: readonly Name[],
  helper: string,
): Promise<Record<Name, StoredFile>> {
  const files = names.map((name) => path.join(directory, name));
  const [sums, sizes] = await Promise.all([
    checksumFiles(helper, files),
    Promise.all(files.map(async (file) => (await stat(file)).size)),
  ]);
  const entries = names.map((name, at) => [name, { bytes: sizes[at] ?? 0, checksum: sums[at] ?? '' }]);
  return Object.fromEntries(entries) as Record<Name, StoredFile>;
}
