import { chmod, open, readdir, readlink } from 'node:fs/promises';

/** Alters one byte in the middle of a file, read-only or not. */
export async function flipByte(file: string): Promise<void> {
  await chmod(file, 0o600);
  const handle = await open(file, 'r+');
  try {
    const position = Math.floor((await handle.stat()).size / 2);
    const byte = Buffer.alloc(1);
    await handle.read(byte, 0, 1, position);
    await handle.write(Buffer.from([(byte[0] ?? 0) ^ 0x40]), 0, 1, position);
  } finally {
    await handle.close();
  }
}

/** Process ids whose working directory is at or below `directory`. */
export async function processesIn(directory: string): Promise<string[]> {
  const entries = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const homes = await Promise.all(entries.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => '')));
  return entries.filter((_, index) => homes[index]?.startsWith(directory));
}
