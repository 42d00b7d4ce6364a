import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { ignoreAbsence, LogFile, previousSegment, readHeader } from './log-file.ts';
import type { LogEvent, LogRead, LogStore, LogStreamDescription, StoredLogEvent } from './log-store.ts';
import { summarizeStream } from './log-summary.ts';

const extension = '.ndjson';

export interface FileLogStoreOptions {
  /** Size in bytes at which a stream starts a new segment; it keeps two. Default 8 MiB. */
  readonly segmentBytes?: number;
}

export interface LogRetention {
  /** Streams nothing was written to since then, in milliseconds since the epoch, are removed. */
  readonly writtenSince: number;
  /** The same for single groups that keep less. */
  readonly groups?: ReadonlyMap<string, number>;
  /** Streams are removed, those written to longest ago first, until all take no more bytes. */
  readonly totalBytes: number;
}

interface Summary {
  /** Changes with every write. */
  readonly version: string;
  readonly description: LogStreamDescription | undefined;
}

/**
 * Logs in files: a directory for each group, a file of JSON rows for each stream, both named by a hash.
 * Log lines are handed to the operating system, not synced: a power loss may cost the newest ones.
 */
export class FileLogStore implements LogStore {
  readonly #directory: string;
  readonly #segmentBytes: number;
  readonly #files = new Map<string, LogFile>();
  /** So that listing a group again opens only the streams that were written to since. */
  readonly #summaries = new Map<string, Summary>();

  constructor(directory: string, options: FileLogStoreOptions = {}) {
    this.#directory = directory;
    this.#segmentBytes = options.segmentBytes ?? 8 * 1024 * 1024;
  }

  async append(group: string, stream: string, events: readonly LogEvent[]): Promise<void> {
    await this.#file(group, stream).append(events);
  }

  async read(group: string, stream: string, options: LogRead): Promise<readonly StoredLogEvent[]> {
    return await this.#file(group, stream).read(options);
  }

  follow(
    group: string,
    stream: string,
    options: LogRead,
    signal: AbortSignal,
  ): AsyncIterable<StoredLogEvent> {
    return this.#file(group, stream).follow(options, signal);
  }

  scan(group: string, stream: string): AsyncIterable<StoredLogEvent> {
    return this.#file(group, stream).scan();
  }

  async groups(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const directory of await this.#directories()) {
      const group = await groupOf(await streamFiles(directory));
      if (group !== undefined) found.push(group);
    }
    return found.sort();
  }

  async describe(group: string): Promise<readonly LogStreamDescription[]> {
    const found: LogStreamDescription[] = [];
    for (const file of await streamFiles(path.join(this.#directory, hash(group)))) {
      const description = await this.#summarize(file);
      if (description !== undefined) found.push(description);
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async streams(group: string): Promise<readonly string[]> {
    const found: string[] = [];
    for (const file of await streamFiles(path.join(this.#directory, hash(group)))) {
      const header = await readHeader(file);
      if (header !== undefined) found.push(header.stream);
    }
    return found.sort();
  }

  async removeGroup(group: string): Promise<void> {
    for (const file of await streamFiles(path.join(this.#directory, hash(group)))) await this.#clear(file);
  }

  /** Removes whole streams that retention no longer covers. */
  async sweep(retention: LogRetention): Promise<void> {
    const kept: { readonly file: string; readonly writtenAt: number; readonly size: number }[] = [];
    const byDirectory = new Map(
      [...(retention.groups ?? [])].map(([group, since]) => [path.join(this.#directory, hash(group)), since]),
    );
    for (const directory of await this.#directories()) {
      const since = Math.max(retention.writtenSince, byDirectory.get(directory) ?? 0);
      for (const file of await streamFiles(directory)) {
        const current = await stat(file).catch(ignoreAbsence);
        const previous = await stat(previousSegment(file)).catch(ignoreAbsence);
        const writtenAt = current?.mtimeMs ?? 0;
        if (writtenAt < since) await this.#clear(file);
        else kept.push({ file, writtenAt, size: (current?.size ?? 0) + (previous?.size ?? 0) });
      }
    }
    let total = kept.reduce((sum, { size }) => sum + size, 0);
    for (const { file, size } of kept.sort((a, b) => a.writtenAt - b.writtenAt)) {
      if (total <= retention.totalBytes) return;
      await this.#clear(file);
      total -= size;
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#files.values()].map(async (file) => await file.settled()));
  }

  #file(group: string, stream: string): LogFile {
    const file = path.join(this.#directory, hash(group), `${hash(stream)}${extension}`);
    return this.#files.get(file) ?? this.#open(file, group, stream);
  }

  #open(file: string, group: string, stream: string): LogFile {
    const opened = new LogFile(file, group, stream, this.#segmentBytes);
    this.#files.set(file, opened);
    return opened;
  }

  /** Through the stream's own queue, so that nobody appends to a file that goes away. */
  async #clear(file: string): Promise<void> {
    this.#summaries.delete(file);
    const header = await readHeader(file);
    if (header === undefined) return;
    await (this.#files.get(file) ?? this.#open(file, header.group, header.stream)).clear();
  }

  async #directories(): Promise<readonly string[]> {
    const entries = (await readdir(this.#directory, { withFileTypes: true }).catch(ignoreAbsence)) ?? [];
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => path.join(this.#directory, name));
  }

  async #summarize(file: string): Promise<LogStreamDescription | undefined> {
    const status = await stat(file).catch(ignoreAbsence);
    if (status === undefined) return undefined;
    const version = `${status.ino} ${status.size} ${status.mtimeMs}`;
    const known = this.#summaries.get(file);
    if (known?.version === version) return known.description;
    const description = await summarizeStream(file);
    this.#summaries.set(file, { version, description });
    return description;
  }
}

/** Files of the streams below a group's directory. */
async function streamFiles(directory: string): Promise<readonly string[]> {
  const names = (await readdir(directory).catch(ignoreAbsence)) ?? [];
  return names.filter((name) => name.endsWith(extension)).map((name) => path.join(directory, name));
}

/** The group is named in each of its streams. */
async function groupOf(files: readonly string[]): Promise<string | undefined> {
  for (const file of files) {
    const header = await readHeader(file);
    if (header !== undefined) return header.group;
  }
  return undefined;
}

function hash(name: string): string {
  return createHash('sha256').update(name).digest('hex');
}
