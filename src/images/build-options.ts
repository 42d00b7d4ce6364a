import { constants } from 'node:fs';
import { copyFile, lstat, mkdir, open, realpath, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { isThere } from '../blobs/entries.ts';
import { archiveInvalid, dockerfileNotFound } from './build-failure.ts';

/** Directory of an artifact that holds how it is to be built; no step of the Dockerfile sees it. */
const buildOptionsDirectory = '.dormouse';
const optionsFile = 'build.json';
const secretsDirectory = 'secrets';
const largestFileBytes = 64 * 1024;
const largestDockerfileBytes = 1024 ** 2;

const name = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/);

/** Those of this program's own begin like this. */
const secretId = z.string().regex(/^(?!dormouse-)[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/);
const mostSecrets = 32;
/** As a container engine takes of a secret. */
const largestSecretBytes = 512 * 1024;

const schema = z.strictObject({
  /** Path of the Dockerfile in the artifact; `Dockerfile` when absent. */
  dockerfile: z.string().min(1).max(4095).optional(),
  buildArguments: z.record(name, z.string()).optional(),
  /** Stage to build; the last one when absent. */
  target: z.string().min(1).max(255).optional(),
  /** Runs every step again. */
  noCache: z.boolean().optional(),
  /** Ids of secrets: files of these names beside this one, for `RUN --mount=type=secret`. */
  secrets: z.array(secretId).max(mostSecrets).optional(),
  /** The application is to listen nowhere. */
  worker: z.boolean().optional(),
  /** Most that is waited for the application to be ready. */
  readyTimeoutSeconds: z.number().int().min(1).max(3600).optional(),
});

/** How an artifact is to be built, beyond what its Dockerfile says; an extension. */
export interface BuildOptions extends Omit<z.output<typeof schema>, 'dockerfile' | 'secrets'> {
  /** Files by the ids of the secrets that they hold. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** Absolute path of the Dockerfile. */
  readonly dockerfile: string;
}

/**
 * Takes the build options out of an unpacked artifact, and a Dockerfile that came with them and not with the context.
 * @param context directory of the artifact; links in it are not followed
 * @param scratch existing directory for that Dockerfile
 * @throws {BuildFailure} ARCHIVE_INVALID or ARCHIVE_DOCKERFILE_NOT_FOUND
 */
export async function takeBuildOptions(context: string, scratch: string): Promise<BuildOptions> {
  const directory = path.join(context, buildOptionsDirectory);
  const given = await readOptions(path.join(directory, optionsFile));
  const { dockerfile = 'Dockerfile', secrets: ids, ...rest } = given ?? {};
  const secrets = ids === undefined ? {} : { secrets: await takeSecrets(ids, directory, scratch) };
  const options = { ...rest, ...secrets };
  const source = path.join(context, dockerfile);
  const found = await findFile(context, source);
  if (path.dirname(source) !== directory) {
    if (given !== undefined) await rm(directory, { recursive: true });
    return { ...options, dockerfile: found };
  }
  const moved = path.join(scratch, 'Dockerfile');
  await copyFile(found, moved);
  await rm(directory, { recursive: true });
  return { ...options, dockerfile: moved };
}

/** @throws {BuildFailure} ARCHIVE_INVALID: one is not there, or too large */
async function takeSecrets(
  ids: readonly string[],
  directory: string,
  scratch: string,
): Promise<Readonly<Record<string, string>>> {
  const there = await lstat(path.join(directory, secretsDirectory)).catch(() => undefined);
  if (ids.length > 0 && there?.isDirectory() !== true) {
    throw archiveInvalid(`${buildOptionsDirectory}/${secretsDirectory} is not a directory.`);
  }
  const target = path.join(scratch, 'secrets');
  await mkdir(target, { mode: 0o700 });
  const files: Record<string, string> = {};
  for (const id of ids) {
    const source = path.join(directory, secretsDirectory, id);
    const content = await readBounded(
      source,
      `${buildOptionsDirectory}/${secretsDirectory}/${id}`,
      largestSecretBytes,
    );
    files[id] = path.join(target, id);
    await writeFile(files[id], content, { mode: 0o600 });
  }
  return files;
}

/**
 * The file itself where a link leads to it.
 * @throws {BuildFailure} it is no regular file of the artifact, or larger than any Dockerfile is
 */
async function findFile(context: string, file: string): Promise<string> {
  const name = path.relative(context, file);
  const found = await realpath(file).catch(() => undefined);
  if (found === undefined || path.relative(await realpath(context), found).startsWith('..')) {
    throw dockerfileNotFound(name);
  }
  const stats = await lstat(found);
  if (!stats.isFile()) throw dockerfileNotFound(name);
  if (stats.size > largestDockerfileBytes) {
    throw archiveInvalid(`${name} is larger than ${largestDockerfileBytes} bytes.`);
  }
  return found;
}

async function readOptions(file: string): Promise<z.output<typeof schema> | undefined> {
  const directory = await lstat(path.dirname(file)).catch(() => undefined);
  if (directory?.isDirectory() !== true || !(await isThere(file))) return undefined;
  const name = `${buildOptionsDirectory}/${optionsFile}`;
  const text = (await readBounded(file, name, largestFileBytes)).toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw archiveInvalid(`${buildOptionsDirectory}/${optionsFile} is not JSON.`);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw archiveInvalid(
      `${buildOptionsDirectory}/${optionsFile}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`,
    );
  }
  return parsed.data;
}

/** @throws {BuildFailure} ARCHIVE_INVALID: it is no regular file, or a larger one */
async function readBounded(file: string, name: string, largestBytes: number): Promise<Buffer> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW).catch(() => {
    throw archiveInvalid(`${name} is not a regular file.`);
  });
  try {
    const stats = await handle.stat();
    if (!stats.isFile() || stats.size > largestBytes) {
      throw archiveInvalid(`${name} is no file of at most ${largestBytes} bytes.`);
    }
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}
