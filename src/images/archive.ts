import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { chmod, mkdir, symlink, utimes } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Entry, openPromise, type ZipFile } from 'yauzl';
import type { Limits } from '../model/limits.ts';
import { archiveInvalid, BuildFailure } from './build-failure.ts';

export type ArchiveLimits = Pick<Limits, 'artifactBytes' | 'artifactEntries'>;

/** What an archive holds at a path. */
type NodeType = 'directory' | 'file' | 'link';

/** Longest path and link target the kernel takes. */
const longestPath = 4095;
const longestName = 255;
const madeByUnix = 3;
const fileTypeMask = 0o170000;
const fileTypes: ReadonlyMap<number, NodeType | undefined> = new Map([
  [0, undefined],
  [0o040000, 'directory'],
  [0o100000, 'file'],
  [0o120000, 'link'],
]);

interface Member {
  readonly entry: Entry;
  readonly name: string;
  readonly type: NodeType;
  readonly mode: number | undefined;
}

/**
 * Unpacks an artifact. Nothing is written unless the whole archive is acceptable: no path leads out of the tree or
 * through a link, nothing but files, directories and links, within the limits both by what it declares and by what it
 * really holds (spec section 3.1). Links stay what they are wherever they lead, as a virtual environment's do: nothing
 * of the host's follows them.
 * @param target an existing, empty, private directory
 * @throws {BuildFailure} ARCHIVE_INVALID
 */
export async function unpackArchive(
  file: string,
  target: string,
  limits: ArchiveLimits,
  signal: AbortSignal,
): Promise<void> {
  const zip = await asArchiveError(openPromise(file, { lazyEntries: true, autoClose: false }));
  try {
    const members = await readMembers(zip, limits, signal);
    await checkTree(zip, members);
    await writeTree(zip, members, target, limits, signal);
  } finally {
    zip.close();
  }
}

async function readMembers(zip: ZipFile, limits: ArchiveLimits, signal: AbortSignal): Promise<Member[]> {
  if (zip.entryCount > limits.artifactEntries) throw tooManyEntries(limits);
  const members: Member[] = [];
  let declared = 0;
  const entries = zip.eachEntry();
  for (;;) {
    const { value: entry, done } = await asArchiveError(entries.next());
    if (done === true) return members;
    signal.throwIfAborted();
    declared += entry.uncompressedSize;
    if (declared > limits.artifactBytes) throw tooLarge(limits);
    if (members.length >= limits.artifactEntries) throw tooManyEntries(limits);
    const member = describe(entry);
    if (member !== undefined) members.push(member);
  }
}

/** Undefined for the root itself, which some tools write as `./`. */
function describe(entry: Entry): Member | undefined {
  const shown = JSON.stringify(entry.fileName.slice(0, 200));
  if (entry.isEncrypted()) throw archiveInvalid(`The entry ${shown} is encrypted.`);
  if (entry.fileName.includes('\0')) throw archiveInvalid(`The entry ${shown} has an invalid name.`);
  if (Buffer.byteLength(entry.fileName) > longestPath) throw archiveInvalid(`The path ${shown} is too long.`);
  const parts = entry.fileName.split('/').filter((part) => part !== '' && part !== '.');
  if (entry.fileName.startsWith('/') || parts.includes('..')) {
    throw archiveInvalid(`The path ${shown} leads out of the archive.`);
  }
  if (parts.some((part) => Buffer.byteLength(part) > longestName)) {
    throw archiveInvalid(`The path ${shown} is too long.`);
  }
  const attributes =
    entry.versionMadeBy >>> 8 === madeByUnix ? entry.externalFileAttributes >>> 16 : undefined;
  const fileType = (attributes ?? 0) & fileTypeMask;
  if (!fileTypes.has(fileType)) {
    throw archiveInvalid(`The entry ${shown} is neither a file, a directory nor a symbolic link.`);
  }
  const type = entry.fileName.endsWith('/') ? 'directory' : (fileTypes.get(fileType) ?? 'file');
  const permissions = attributes === undefined || attributes === 0 ? undefined : attributes & 0o777;
  return parts.length === 0 ? undefined : { entry, name: parts.join('/'), type, mode: permissions };
}

async function checkTree(zip: ZipFile, members: readonly Member[]): Promise<void> {
  const tree = new Map<string, NodeType>();
  for (const member of members) {
    const known = tree.get(member.name);
    if (known !== undefined && (known !== 'directory' || member.type !== 'directory')) {
      throw archiveInvalid(`The path ${JSON.stringify(member.name)} appears twice.`);
    }
    if (member.type === 'link') await readTarget(zip, member);
    tree.set(member.name, member.type);
  }
  for (const { name } of members) {
    for (let parent = path.posix.dirname(name); parent !== '.'; parent = path.posix.dirname(parent)) {
      const node = tree.get(parent);
      if (node !== undefined && node !== 'directory') {
        throw archiveInvalid(`The path ${JSON.stringify(name)} leads through something not a directory.`);
      }
    }
  }
}

async function writeTree(
  zip: ZipFile,
  members: readonly Member[],
  target: string,
  limits: ArchiveLimits,
  signal: AbortSignal,
): Promise<void> {
  const budget = { left: limits.artifactBytes };
  const at = (name: string): string => path.join(target, name);
  for (const { name } of members.filter(isType('directory'))) await mkdir(at(name), { recursive: true });
  for (const member of members.filter(isType('file'))) {
    await mkdir(path.dirname(at(member.name)), { recursive: true });
    await writeMember(zip, member, at(member.name), budget, limits, signal);
  }
  // Links come last, so that nothing above was written through one.
  for (const member of members.filter(isType('link'))) {
    await mkdir(path.dirname(at(member.name)), { recursive: true });
    await symlink(await readTarget(zip, member), at(member.name));
  }
  for (const { name, mode } of members.filter(isType('directory'))) {
    if (mode !== undefined) await chmod(at(name), mode | 0o700);
  }
}

async function writeMember(
  zip: ZipFile,
  member: Member,
  file: string,
  budget: { left: number },
  limits: ArchiveLimits,
  signal: AbortSignal,
): Promise<void> {
  const content = await openMember(zip, member);
  const count = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      budget.left -= chunk.length;
      if (budget.left < 0) throw tooLarge(limits);
      yield chunk;
    }
  };
  const output = createWriteStream(file, { flags: 'wx', mode: 0o600 });
  try {
    await pipeline(content, count, output, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw isSystemError(error) ? error : toArchiveError(error);
  }
  await chmod(file, (member.mode ?? 0o644) | 0o400);
  const modified = member.entry.getLastModDate();
  if (!Number.isNaN(modified.getTime())) await utimes(file, modified, modified);
}

async function readTarget(zip: ZipFile, member: Member): Promise<string> {
  if (member.entry.uncompressedSize > longestPath) throw archiveInvalid('A symbolic link is too long.');
  const content = await openMember(zip, member);
  const chunks: Buffer[] = [];
  content.on('data', (chunk: Buffer) => chunks.push(chunk));
  await asArchiveError(once(content, 'end'));
  const target = Buffer.concat(chunks).toString('utf8');
  if (target === '' || target.includes('\0')) throw archiveInvalid('A symbolic link has an invalid target.');
  return target;
}

async function openMember(zip: ZipFile, member: Member): Promise<Readable> {
  return await asArchiveError(zip.openReadStreamPromise(member.entry));
}

function isType(type: NodeType): (member: Member) => boolean {
  return (member) => member.type === type;
}

function tooLarge(limits: ArchiveLimits): BuildFailure {
  return archiveInvalid(`The archive is larger than ${limits.artifactBytes} bytes when unpacked.`);
}

function tooManyEntries(limits: ArchiveLimits): BuildFailure {
  return archiveInvalid(`The archive has more than ${limits.artifactEntries} entries.`);
}

async function asArchiveError<Result>(operation: Promise<Result>): Promise<Result> {
  try {
    return await operation;
  } catch (error) {
    throw isSystemError(error) ? error : toArchiveError(error);
  }
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}

function toArchiveError(error: unknown): BuildFailure {
  if (error instanceof BuildFailure) return error;
  return archiveInvalid(error instanceof Error ? error.message : String(error));
}
