import { createWriteStream } from 'node:fs';
import { lstat, mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ZipFile } from 'yazl';
import { IgnoreRules } from './dockerignore.ts';
import { CliError } from './errors.ts';

export interface PackedContext {
  readonly file: string;
  readonly bytes: number;
  readonly entries: number;
  /** Removes the file. */
  dispose(): Promise<void>;
}

/**
 * Packs a directory into a zip file in a fresh temporary directory: what `.dockerignore` leaves, in a fixed
 * order, symbolic links as links. The Dockerfile is always in it.
 * @throws {CliError} it is no directory, or has no Dockerfile
 */
export async function packContext(directory: string): Promise<PackedContext> {
  const names = await contextFiles(directory);
  const temporary = await mkdtemp(path.join(os.tmpdir(), 'dormouse-build-'));
  const dispose = async (): Promise<void> => await rm(temporary, { recursive: true, force: true });
  try {
    const file = path.join(temporary, 'context.zip');
    const archive = new ZipFile();
    const written = pipeline(archive.outputStream, createWriteStream(file, { mode: 0o600 }));
    archive.on('error', (error: Error) => (archive.outputStream as NodeJS.ReadStream).destroy(error));
    for (const name of names) await addEntry(archive, directory, name);
    archive.end();
    await written;
    return { file, bytes: (await lstat(file)).size, entries: names.length, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Paths of the context's files, links and empty directories (these end in `/`), sorted, relative to it. */
export async function contextFiles(directory: string): Promise<readonly string[]> {
  const rules = new IgnoreRules(
    await readFile(path.join(directory, '.dockerignore'), 'utf8').catch(() => ''),
  );
  const names: string[] = [];
  await collectFiles(directory, '', rules, names);
  if (!names.includes('Dockerfile')) {
    throw new CliError(`${directory} has no Dockerfile.`, 'Name the directory that holds it.');
  }
  return names.sort();
}

async function collectFiles(root: string, below: string, rules: IgnoreRules, names: string[]): Promise<void> {
  const entries = await listDirectory(path.join(root, below));
  if (entries.length === 0 && below !== '' && !rules.ignores(below)) names.push(`${below}/`);
  for (const entry of entries) {
    const name = below === '' ? entry.name : `${below}/${entry.name}`;
    const ignored = rules.ignores(name) && name !== 'Dockerfile';
    if (entry.isDirectory()) {
      if (!ignored || rules.hasExceptions) await collectFiles(root, name, rules, names);
    } else if (!ignored && (entry.isFile() || entry.isSymbolicLink())) {
      names.push(name);
    }
  }
}

async function listDirectory(directory: string) {
  try {
    return await readdir(directory, { withFileTypes: true });
  } catch (error) {
    throw new CliError(`Cannot read the directory ${directory}: ${(error as Error).message}`);
  }
}

async function addEntry(archive: ZipFile, directory: string, name: string): Promise<void> {
  const file = path.join(directory, name);
  const stats = await lstat(file);
  const attributes = { mtime: stats.mtime, mode: stats.mode };
  if (stats.isDirectory()) archive.addEmptyDirectory(name, attributes);
  else if (stats.isSymbolicLink()) archive.addBuffer(Buffer.from(await readlink(file)), name, attributes);
  else archive.addFile(file, name, attributes);
}
