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

/** How a context is to be built, as the server reads it from the artifact. */
export interface BuildSettings {
  readonly buildArguments?: Readonly<Record<string, string>>;
  readonly target?: string;
  readonly noCache?: boolean;
  readonly worker?: boolean;
  readonly readyTimeoutSeconds?: number;
}

export interface ContextOptions {
  /** Path of another Dockerfile than the directory's own, wherever it is. */
  readonly dockerfile?: string | undefined;
  readonly settings?: BuildSettings;
  /** By their ids; they go along with the context and are none of it. */
  readonly secrets?: Readonly<Record<string, Uint8Array>>;
}

const settingsDirectory = '.dormouse';
const ignoreFile = '.dockerignore';

/**
 * Packs a directory into a zip file in a fresh temporary directory: what `.dockerignore` leaves, in a fixed
 * order, symbolic links as links. A Dockerfile that is none of that, or a link, goes along apart from it.
 * @throws {CliError} it is no directory, or has no Dockerfile
 */
export async function packContext(directory: string, options: ContextOptions = {}): Promise<PackedContext> {
  const names = await contextFiles(directory, options.dockerfile);
  const apart = options.dockerfile ?? (await dockerfileApart(directory, names));
  const temporary = await mkdtemp(path.join(os.tmpdir(), 'dormouse-build-'));
  const dispose = async (): Promise<void> => await rm(temporary, { recursive: true, force: true });
  try {
    const file = path.join(temporary, 'context.zip');
    const archive = new ZipFile();
    const written = pipeline(archive.outputStream, createWriteStream(file, { mode: 0o600 }));
    archive.on('error', (error: Error) => (archive.outputStream as NodeJS.ReadStream).destroy(error));
    for (const name of names) await addEntry(archive, directory, name);
    await addSettings(archive, apart, options);
    archive.end();
    await written;
    return { file, bytes: (await lstat(file)).size, entries: names.length, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/**
 * Paths of the context's files, links and empty directories (these end in `/`), sorted, relative to it.
 * @param dockerfile another than the directory's own; a `.dockerignore` of its own goes before the directory's
 */
export async function contextFiles(directory: string, dockerfile?: string): Promise<readonly string[]> {
  const own = await textOf(`${dockerfile ?? path.join(directory, 'Dockerfile')}.dockerignore`);
  const ignored = own ?? (await textOf(path.join(directory, ignoreFile))) ?? '';
  const found: string[] = [];
  await collectFiles(directory, '', new IgnoreRules(ignored), found);
  // The builder would apply the directory's rules again, to files that the Dockerfile's own rules keep.
  const names = own === undefined ? found : found.filter((name) => name !== ignoreFile);
  return names.sort();
}

/** The directory's own Dockerfile where the builder would not find it in the context, or only a link there. */
async function dockerfileApart(directory: string, names: readonly string[]): Promise<string | undefined> {
  const file = path.join(directory, 'Dockerfile');
  const stats = await lstat(file).catch(() => undefined);
  if (stats === undefined) {
    throw new CliError(
      `${directory} has no Dockerfile.`,
      'Name the directory that holds it, or the file with -f.',
    );
  }
  return names.includes('Dockerfile') && !stats.isSymbolicLink() ? undefined : file;
}

/** Undefined where there is no such file. */
async function textOf(file: string): Promise<string | undefined> {
  return await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new CliError(`Cannot read ${file}: ${error.message}`);
  });
}

/** What goes along with the context and is none of it. */
async function addSettings(
  archive: ZipFile,
  dockerfile: string | undefined,
  { settings = {}, secrets = {} }: ContextOptions,
): Promise<void> {
  const ids = Object.keys(secrets);
  if (dockerfile === undefined && Object.keys(settings).length === 0 && ids.length === 0) return;
  const name = `${settingsDirectory}/Dockerfile`;
  if (dockerfile !== undefined) {
    const content = await readFile(dockerfile).catch((error: Error) => {
      throw new CliError(`Cannot read the Dockerfile ${dockerfile}: ${error.message}`);
    });
    archive.addBuffer(content, name);
  }
  for (const [id, content] of Object.entries(secrets)) {
    archive.addBuffer(Buffer.from(content), `${settingsDirectory}/secrets/${id}`);
  }
  const all = {
    ...settings,
    ...(dockerfile === undefined ? {} : { dockerfile: name }),
    ...(ids.length === 0 ? {} : { secrets: ids }),
  };
  archive.addBuffer(Buffer.from(JSON.stringify(all)), `${settingsDirectory}/build.json`);
}

async function collectFiles(root: string, below: string, rules: IgnoreRules, names: string[]): Promise<void> {
  const entries = await listDirectory(path.join(root, below));
  if (entries.length === 0 && below !== '' && !rules.ignores(below)) names.push(`${below}/`);
  for (const entry of entries) {
    const name = below === '' ? entry.name : `${below}/${entry.name}`;
    if (name === settingsDirectory) continue;
    const ignored = rules.ignores(name);
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
