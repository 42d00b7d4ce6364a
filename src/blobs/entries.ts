import { readdir } from 'node:fs/promises';

/** Names in a directory; none where there is no such directory. */
export async function entries(directory: string): Promise<readonly string[]> {
  return await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}
