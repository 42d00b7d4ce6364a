import { execFileSync } from 'node:child_process';
import { type BigIntStats, lstatSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { DiskObserver } from '../server-process.ts';

/** Content of a file: kept in memory, or in a copy when it is large. */
export type Content = Buffer | { readonly copy: string; readonly bytes: number; readonly changed: bigint };

export interface FileState {
  readonly type: 'file';
  readonly content: Content;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface DirectoryState {
  readonly type: 'directory';
  readonly entries: ReadonlyMap<string, Inode>;
  readonly mode: number;
}

/** An inode number may be used again, for another file with another time of birth. */
export type Inode = string;
export type States = ReadonlyMap<Inode, FileState | DirectoryState>;

/** What is where at one moment: as any process sees it, and as far as the disk has to know. */
export interface DiskMoment {
  readonly root: Inode;
  readonly now: States;
  readonly durable: States;
  /** The metadata store's files, which SQLite keeps durable by itself: see test/faults/store-durability.test.ts. */
  readonly store: ReadonlyMap<string, Buffer>;
}

/** Larger contents are not kept in memory. */
const largeBytes = 1 << 20;
const storeFiles = ['dormouse.sqlite', 'dormouse.sqlite-wal'] as const;

/** Undefined when the file is gone: others work in the same directories. */
function look(file: string): BigIntStats | undefined {
  return orAbsent(() => lstatSync(file, { bigint: true }));
}

function inodeOf(stats: BigIntStats): Inode {
  return `${stats.ino}:${stats.birthtimeNs}`;
}

/**
 * What of a directory's tree a loss of power must leave: files as they were when a sync of them began that succeeded,
 * directories' entries likewise. A sync is the only thing that counts; what the kernel may write by itself is luck.
 */
export class DurableDisk implements DiskObserver {
  readonly #directory: string;
  readonly #copies: string;
  readonly #root: Inode;
  readonly #durable = new Map<Inode, FileState | DirectoryState>();
  #copied = 0;
  /** Told at each moment before which a loss of power may differ from one after it. */
  onMoment: () => void = () => undefined;

  /**
   * @param directory exists, empty; its own entry counts as durable
   * @param copies where copies of large files are kept
   */
  constructor(directory: string, copies: string) {
    this.#directory = directory;
    this.#copies = copies;
    mkdirSync(copies, { recursive: true });
    const stats = lstatSync(directory, { bigint: true });
    this.#root = inodeOf(stats);
    this.#durable.set(this.#root, this.#stateOf(directory, stats));
  }

  syncing(file: string): () => void {
    const stats = look(file);
    if (stats === undefined) return () => undefined;
    const state = this.#stateOf(file, stats);
    this.onMoment();
    return () => this.#durable.set(inodeOf(stats), state);
  }

  committed(): void {
    this.onMoment();
  }

  moment(): DiskMoment {
    const now = new Map<Inode, FileState | DirectoryState>();
    const visit = (file: string): void => {
      const stats = look(file);
      if (stats === undefined) return;
      const state = this.#stateOf(file, stats);
      now.set(inodeOf(stats), state);
      if (state.type === 'file') return;
      for (const name of state.entries.keys()) visit(path.join(file, name));
    };
    visit(this.#directory);
    const store = new Map<string, Buffer>();
    for (const name of storeFiles) {
      const content = orAbsent(() => readFileSync(path.join(this.#directory, name)));
      if (content !== undefined) store.set(name, content);
    }
    return { root: this.#root, now, durable: new Map(this.#durable), store };
  }

  #stateOf(file: string, stats: BigIntStats): FileState | DirectoryState {
    const mode = Number(stats.mode) & 0o7777;
    if (stats.isDirectory()) return { type: 'directory', entries: this.#entriesOf(file), mode };
    const content = orAbsent(() => this.#contentOf(file, stats)) ?? Buffer.alloc(0);
    return { type: 'file', content, mode, uid: Number(stats.uid), gid: Number(stats.gid) };
  }

  #entriesOf(directory: string): ReadonlyMap<string, Inode> {
    const found = new Map<string, Inode>();
    for (const entry of orAbsent(() => readdirSync(directory, { withFileTypes: true })) ?? []) {
      // Guests' logs are nobody's loss, and the store's files are looked at by themselves.
      const apart = entry.name === 'logs' || entry.name.startsWith(storeFiles[0]);
      if (directory === this.#directory && apart) continue;
      if (!entry.isFile() && !entry.isDirectory()) continue;
      const stats = look(path.join(directory, entry.name));
      if (stats !== undefined) found.set(entry.name, inodeOf(stats));
    }
    return found;
  }

  #contentOf(file: string, stats: BigIntStats): Content {
    if (stats.size <= largeBytes) return readFileSync(file);
    const known = this.#durable.get(inodeOf(stats));
    if (known?.type === 'file' && !Buffer.isBuffer(known.content)) {
      const { bytes, changed } = known.content;
      if (changed === stats.mtimeNs && bytes === Number(stats.size)) return known.content;
    }
    const copy = path.join(this.#copies, String(this.#copied++));
    execFileSync('cp', ['--sparse=always', '--', file, copy]);
    return { copy, bytes: Number(stats.size), changed: stats.mtimeNs };
  }
}

function orAbsent<Found>(read: () => Found): Found | undefined {
  try {
    return read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
