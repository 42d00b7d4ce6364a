import { statfs } from 'node:fs/promises';
import path from 'node:path';
import { directorySize } from '../blobs/directory-size.ts';
import type { Metrics, Sample } from './metrics.ts';

/** Looking at every file takes its time, so it is not done for every question. */
const freshMs = 60_000;

/**
 * What a data directory takes of its disk, by the parts it has, and what is left.
 * @param now milliseconds; only differences matter
 */
export function declareStorageMetrics(
  metrics: Metrics,
  directory: string,
  parts: readonly string[],
  now: () => number = () => performance.now(),
): void {
  let measured: Promise<readonly Sample[]> | undefined;
  let measuredAt = 0;
  metrics.reading(
    'data_directory_bytes',
    'Disk space of the parts of the data directory; at most a minute old.',
    () => {
      if (measured === undefined || now() - measuredAt > freshMs) {
        measuredAt = now();
        measured = measure(directory, parts);
      }
      return measured;
    },
    ['part'],
  );
  metrics.reading('disk_free_bytes', 'Free space of the disk that the data directory is on.', async () => {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize;
  });
  metrics.reading('disk_size_bytes', 'Size of that disk.', async () => {
    const { blocks, bsize } = await statfs(directory);
    return blocks * bsize;
  });
}

async function measure(directory: string, parts: readonly string[]): Promise<readonly Sample[]> {
  const samples: Sample[] = [];
  for (const part of parts) {
    samples.push({ value: await directorySize(path.join(directory, part)), labels: [part] });
  }
  return samples;
}
