import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';

const blockBytes = 512;

/** Space a directory's files take on the disk, holes not counted; 0 for one that does not exist. */
export async function directorySize(directory: string): Promise<number> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map((entry) =>
        stat(path.join(entry.parentPath, entry.name)).then(
          (found) => found.blocks * blockBytes,
          () => 0,
        ),
      ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
