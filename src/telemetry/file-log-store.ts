import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { LogFile, readHeader } from './log-file.ts';
import type { LogEvent, LogRead, LogStore, StoredLogEvent } from './log-store.ts';

const extension = '.ndjson';

export interface FileLogStoreOptions {
  /** Size in bytes at which a stream starts a new segment; it keeps two. Default 8 MiB. */
  readonly segmentBytes?: number;
}

/**
 * Logs in files: a directory for each group, a file of JSON rows for each stream, both named by a hash.
 * Log lines are handed to the operating system, not synced: a power loss may cost the newest ones.
 */
export class FileLogStore implements LogStore {
  readonly #directory: string;
  readonly #segmentBytes: number;
  readonly #files = new Map<string, LogFile>();

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

  async streams(group: string): Promise<readonly string[]> {
    const directory = path.join(this.#directory, hash(group));
    const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    const found: string[] = [];
    for (const name of names) {
      if (!name.endsWith(extension)) continue;
      const header = await readHeader(path.join(directory, name));
      if (header !== undefined) found.push(header.stream);
    }
    return found.sort();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#files.values()].map(async (file) => await file.settled()));
  }

  #file(group: string, stream: string): LogFile {
    const file = path.join(this.#directory, hash(group), `${hash(stream)}${extension}`);
    const known = this.#files.get(file);
    if (known !== undefined) return known;
    const opened = new LogFile(file, group, stream, this.#segmentBytes);
    this.#files.set(file, opened);
    return opened;
  }
}

function hash(name: string): string {
  return createHash('sha256').update(name).digest('hex');
}
