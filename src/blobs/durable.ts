import { randomUUID } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';

/** Makes the entries of a directory durable: what was created, renamed or removed in it. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a directory, and those above it that are missing, the server's alone; they stay. */
export async function ensureDirectory(directory: string): Promise<void> {
  const highest = await mkdir(directory, { recursive: true, mode: 0o700 });
  if (highest === undefined) {
    // Whoever made it may have been killed before it was durable. One that we may not read is not ours.
    await syncDirectory(path.dirname(directory)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EACCES') throw error;
    });
    return;
  }
  for (let made = path.resolve(directory); ; made = path.dirname(made)) {
    await syncDirectory(path.dirname(made));
    if (made === path.resolve(highest)) return;
  }
}

/** Replaces a file's content so that after a crash either the old or the new one is there, whole. */
export async function writeFileDurably(
  file: string,
  content: string | Uint8Array,
  mode = 0o600,
): Promise<void> {
  const temporary = `${file}.${randomUUID()}.tmp`;
  try {
    const handle = await open(temporary, 'wx', mode);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(path.dirname(file));
}
