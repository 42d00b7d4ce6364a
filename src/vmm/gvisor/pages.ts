import { runHelper } from '../qemu/helper.ts';

/** Programs of the host that read and write pages. */
export interface PageHelpers {
  readonly memoryDifference: string;
  readonly pageDifference: string;
}

const timeoutMs = 300_000;

/** Stores what of the pages in `file` is not in `base` as the new file `output`, durably. */
export async function savePageDifference(
  { pageDifference }: PageHelpers,
  base: string,
  file: string,
  output: string,
): Promise<void> {
  await runHelper(pageDifference, ['save', base, file, output], timeoutMs);
}

/** Makes the new file `output` of what {@link savePageDifference} stored. @throws {DifferenceCorruptError} */
export async function applyPageDifference(
  { pageDifference }: PageHelpers,
  base: string,
  input: string,
  output: string,
): Promise<void> {
  await runHelper(pageDifference, ['apply', base, input, output], timeoutMs);
}
