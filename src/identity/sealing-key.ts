import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { ensureDirectory, writeFileDurably } from '../blobs/durable.ts';

const keyLength = 32;

/**
 * The secret that access keys are sealed under, made at its first use. It lives in a file of its own (mode 0600),
 * so that a copy of the metadata store alone gives nobody a key.
 * @throws when the file is not such a secret: a new one would lock out every key
 */
export async function openSealingKey(directory: string): Promise<Buffer> {
  await ensureDirectory(directory);
  const file = path.join(directory, 'sealing-key');
  const stored = await readIfThere(file);
  if (stored === undefined) {
    const made = randomBytes(keyLength);
    await writeFileDurably(file, made.toString('base64'));
    return made;
  }
  const key = Buffer.from(stored, 'base64');
  if (key.length !== keyLength) throw new Error(`${file} is damaged: it does not hold ${keyLength} bytes`);
  return key;
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
