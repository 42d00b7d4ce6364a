import { isThere } from '../../blobs/entries.ts';
import { DataDirectoryInUseError, lockDataDirectory } from '../../instance-lock.ts';
import { type Examination, type ExamineOptions, examineData } from './examine-data.ts';

/**
 * Examines a data directory under its lock, so that no server starts on it meanwhile.
 * @returns undefined when a server works on it
 */
export async function openData(options: ExamineOptions): Promise<Examination | undefined> {
  if (!(await isThere(options.dataDirectory))) return { findings: [], close: async () => undefined };
  const unlock = await lockDataDirectory(options.dataDirectory).catch((error: unknown) => {
    if (error instanceof DataDirectoryInUseError) return undefined;
    throw error;
  });
  if (unlock === undefined) return undefined;
  try {
    const { findings, close } = await examineData(options);
    return { findings, close: () => close().finally(unlock) };
  } catch (error) {
    await unlock();
    throw error;
  }
}
