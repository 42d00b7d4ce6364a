import { createHash } from 'node:crypto';
import { chmod, chown, copyFile, link, mkdir, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Content, DirectoryState, DiskMoment, FileState, Inode } from './durable-disk.ts';

/** Which of two versions of something a loss of power left; of contents also the newer one cut short. */
type Pick = 'before' | 'after' | 'torn';

/** Something of which the disk need not have the newest version. */
interface Choice {
  readonly key: string;
  readonly description: string;
  readonly isContent: boolean;
  readonly before: Inode | undefined;
  readonly after: Inode | undefined;
}

interface Node {
  readonly state: FileState | { readonly type: 'directory'; readonly mode: number };
  readonly torn: boolean;
}

/** A tree of files that may be found when the power is back. */
export interface PossibleState {
  /** What is not as the last process saw it. */
  readonly description: string;
  /** The same for the same tree, the store included. */
  readonly digest: string;
  /** Makes it a directory. */
  materialize(directory: string): Promise<void>;
}

/** Written without a sync because nobody needs it after a loss of power; kept or lost together. */
const ofOneBoot = new Set(['process.json', 'process.json.tmp', 'vmm.log', 'console.log', 'server.json']);

/**
 * What the disk may hold after a loss of power at a moment: of everything that was not synced either version, in
 * whatever order. All that can be lost is; nothing is; each change alone is lost; names are there and contents not;
 * contents are there in part. The thorough way is to keep each change alone as well. One assumption is made, which every journaling file system meets: a rename happens wholly or not
 * at all.
 */
export function possibleStates(
  moment: DiskMoment,
  { thorough }: { thorough: boolean },
): readonly PossibleState[] {
  const groups = grouped(findChoices(moment));
  const states = new Map<string, PossibleState>();
  const add = (description: string, pick: (choice: Choice, group: number) => Pick): void => {
    const state = build(moment, description, (choice, group) => pick(choice, group), groups);
    if (!states.has(state.digest)) states.set(state.digest, state);
  };
  add('nothing that was not synced', () => 'before');
  add('everything', () => 'after');
  add('every name, no content that was not synced', ({ isContent }) => (isContent ? 'before' : 'after'));
  add('every name, contents in part', ({ isContent }) => (isContent ? 'torn' : 'after'));
  for (const [index, group] of groups.entries()) {
    const what = group.map(({ description }) => description).join(' and ');
    add(`everything but ${what}`, (_, at) => (at === index ? 'before' : 'after'));
    if (thorough) add(`only ${what}`, (_, at) => (at === index ? 'after' : 'before'));
  }
  return [...states.values()];
}

function findChoices({ root, now, durable }: DiskMoment): readonly Choice[] {
  const choices = new Map<string, Choice>();
  const seen = new Set<Inode>();
  const visit = (inode: Inode, at: string): void => {
    if (seen.has(inode)) return;
    seen.add(inode);
    const before = durable.get(inode);
    const after = now.get(inode) ?? before;
    if (after?.type === 'file') {
      if (sameFile(before, after)) return;
      const description = `the content of ${at}`;
      choices.set(inode, { key: inode, description, isContent: true, before: inode, after: inode });
      return;
    }
    for (const name of namesIn(before, after)) {
      const [old, current] = [entryOf(before, name), entryOf(after, name)];
      const child = path.join(at, name);
      if (old !== current) {
        const key = `${inode}/${name}`;
        const description = `${old === undefined ? 'the new' : current === undefined ? 'no' : 'another'} ${child}`;
        choices.set(key, { key, description, isContent: false, before: old, after: current });
      }
      for (const one of new Set([old, current])) if (one !== undefined) visit(one, child);
    }
  };
  visit(root, '/');
  return [...choices.values()];
}

/** Both ends of a rename are one choice; so is all that is of one boot of the host only. */
function grouped(choices: readonly Choice[]): readonly (readonly Choice[])[] {
  const entries = choices.filter(({ isContent }) => !isContent);
  const parent = new Map<Choice, Choice>(choices.map((choice) => [choice, choice]));
  const leader = (choice: Choice): Choice => {
    const above = parent.get(choice) ?? choice;
    return above === choice ? choice : leader(above);
  };
  const join = (one: Choice, other: Choice): void => void parent.set(leader(one), leader(other));
  for (const from of entries) {
    for (const to of entries) {
      if (from !== to && from.before !== undefined && from.before === to.after) join(from, to);
    }
  }
  const transient = choices.filter(({ description }) => ofOneBoot.has(path.basename(description)));
  for (const choice of transient) join(choice, transient[0] ?? choice);
  return [...Map.groupBy(choices, leader).values()];
}

function build(
  { root, now, durable, store }: DiskMoment,
  description: string,
  pick: (choice: Choice, group: number) => Pick,
  groups: readonly (readonly Choice[])[],
): PossibleState {
  const picks = new Map<string, Pick>();
  for (const [index, group] of groups.entries()) {
    for (const choice of group) picks.set(choice.key, pick(choice, index));
  }
  const nodes = new Map<string, Node>();
  const visit = (inode: Inode, at: string): void => {
    const before = durable.get(inode);
    const after = now.get(inode) ?? before;
    const state = after ?? before;
    if (state === undefined) return void nodes.set(at, { state: emptyFile, torn: false });
    if (state.type === 'file') {
      const picked = picks.get(inode) ?? 'after';
      const chosen = picked === 'before' ? (before ?? { ...state, content: Buffer.alloc(0) }) : state;
      // Of a synced content only the mode can be another.
      const synced = before?.type === 'file' && nameOf(before.content) === nameOf(state.content);
      return void nodes.set(at, { state: chosen, torn: picked === 'torn' && !synced });
    }
    nodes.set(at, { state: { type: 'directory', mode: state.mode }, torn: false });
    for (const name of namesIn(before, after)) {
      const [old, current] = [entryOf(before, name), entryOf(after, name)];
      const chosen = picks.get(`${inode}/${name}`) === 'before' ? old : current;
      if (chosen !== undefined) visit(chosen, path.join(at, name));
    }
  };
  visit(root, '/');
  return {
    description,
    digest: digestOf(nodes, store),
    materialize: (directory) => materialize(directory, nodes, store),
  };
}

const emptyFile: FileState = { type: 'file', content: Buffer.alloc(0), mode: 0o600, uid: 0, gid: 0 };

function namesIn(...states: readonly (FileState | DirectoryState | undefined)[]): readonly string[] {
  const names = states.flatMap((state) => (state?.type === 'directory' ? [...state.entries.keys()] : []));
  return [...new Set(names)].sort();
}

function entryOf(state: FileState | DirectoryState | undefined, name: string): Inode | undefined {
  return state?.type === 'directory' ? state.entries.get(name) : undefined;
}

function sameFile(before: FileState | DirectoryState | undefined, after: FileState): boolean {
  return (
    before?.type === 'file' &&
    before.mode === after.mode &&
    before.uid === after.uid &&
    before.gid === after.gid &&
    nameOf(before.content) === nameOf(after.content)
  );
}

function nameOf(content: Content): string {
  return Buffer.isBuffer(content) ? createHash('sha1').update(content).digest('hex') : content.copy;
}

function digestOf(nodes: ReadonlyMap<string, Node>, store: ReadonlyMap<string, Buffer>): string {
  const hash = createHash('sha1');
  for (const [at, { state, torn }] of nodes) {
    if (ofOneBoot.has(path.basename(at))) continue;
    const content = state.type === 'file' ? `${nameOf(state.content)} ${state.uid}` : '';
    hash.update(`${at} ${state.type} ${state.mode} ${content} ${torn}\n`);
  }
  for (const content of store.values()) hash.update(content);
  return hash.digest('hex');
}

async function materialize(
  directory: string,
  nodes: ReadonlyMap<string, Node>,
  store: ReadonlyMap<string, Buffer>,
): Promise<void> {
  for (const [at, { state, torn }] of nodes) {
    const file = path.join(directory, at);
    if (state.type === 'directory') {
      await mkdir(file, { recursive: true });
      await chmod(file, state.mode);
      continue;
    }
    await writeContent(file, state.content, torn);
    await chown(file, state.uid, state.gid);
    await chmod(file, state.mode);
  }
  for (const [name, content] of store) await writeFile(path.join(directory, name), content);
}

/** In part: as long as it was to be, the second half never written. */
async function writeContent(file: string, content: Content, torn: boolean): Promise<void> {
  if (Buffer.isBuffer(content)) {
    const half = Math.floor(content.length / 2);
    const written = torn ? Buffer.concat([content.subarray(0, half)], content.length) : content;
    return await writeFile(file, written);
  }
  // Large files are never changed in place once they are synced, so those of all trees can be one.
  if (!torn) return await link(content.copy, file);
  await copyFile(content.copy, file);
  await truncate(file, Math.floor(content.bytes / 2));
  await truncate(file, content.bytes);
}
