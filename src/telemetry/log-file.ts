import { appendFile, type FileHandle, mkdir, open, readFile, rename, rm, truncate } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { LogEvent, LogRead, StoredLogEvent } from './log-store.ts';

/** First line of each segment; names are hashed in file names, because clients choose them freely. */
interface Header {
  readonly group: string;
  readonly stream: string;
  /** Sequence of the first event that the segment can hold. */
  readonly first: number;
}

/** Sequence, time, message: short, since it is written for each line of output. */
export type Row = readonly [number, number, string];

const longestMessage = 256 * 1024;
const tailCharacters = 256 * 1024;
/** What an event takes besides its message. */
const eventCharacters = 64;

function toEvent([sequence, timestamp, message]: Row): StoredLogEvent {
  return { sequence, timestamp, message };
}

interface OpenSegment {
  readonly handle: FileHandle;
  readonly size: number;
}

/** Where a stream's events are that came before those in `file`. */
export function previousSegment(file: string): string {
  return `${file}.previous`;
}

/**
 * One stream in one file of rows. When the file has reached `segmentBytes` it becomes the previous segment and
 * the segment before that is dropped, so a stream never takes more than about twice that.
 */
export class LogFile {
  readonly #file: string;
  readonly #group: string;
  readonly #stream: string;
  readonly #segmentBytes: number;
  readonly #waiting = new Set<() => void>();
  /** The newest events, kept only while somebody follows, so that following does not read the file again. */
  #tail: StoredLogEvent[] = [];
  #tailSize = 0;
  #followers = 0;
  #next = 1;
  #size = 0;
  #work: Promise<void>;

  constructor(file: string, group: string, stream: string, segmentBytes: number) {
    this.#file = file;
    this.#group = group;
    this.#stream = stream;
    this.#segmentBytes = segmentBytes;
    this.#work = this.#recover();
    this.#work.catch(() => undefined);
  }

  async append(events: readonly LogEvent[]): Promise<void> {
    const mine = this.#work.then(async () => await this.#write(events));
    this.#work = mine.catch(() => undefined);
    await mine;
  }

  async read({ after = 0, limit = Number.POSITIVE_INFINITY }: LogRead): Promise<readonly StoredLogEvent[]> {
    await this.#work;
    const oldest = this.#tail[0];
    if (oldest !== undefined && oldest.sequence <= after + 1) {
      return this.#tail.filter((event) => event.sequence > after).slice(0, limit);
    }
    if (after + 1 >= this.#next) return [];
    const events: StoredLogEvent[] = [];
    if (limit <= 0) return events;
    for await (const event of this.scan()) {
      if (event.sequence > after && events.push(event) >= limit) break;
    }
    return events;
  }

  /** What was written before the call, oldest first. */
  async *scan(): AsyncIterable<StoredLogEvent> {
    // Opened in turn with writes: a segment replaced while it is read stays readable to its end.
    const opening = this.#work.then(async () => await this.#openSegments());
    this.#work = opening.then(
      () => undefined,
      () => undefined,
    );
    const segments = await opening;
    try {
      for (const { handle, size } of segments) {
        for await (const row of rows(handle, size)) yield toEvent(row);
      }
    } finally {
      await Promise.all(segments.map(async ({ handle }) => await handle.close()));
    }
  }

  /** Removes every event; the stream goes on with the next one that is appended. */
  async clear(): Promise<void> {
    const mine = this.#work.then(async () => {
      await rm(this.#previous, { force: true });
      await rm(this.#file, { force: true });
      this.#size = 0;
      this.#dropTail();
    });
    this.#work = mine.catch(() => undefined);
    await mine;
  }

  async *follow(options: LogRead, signal: AbortSignal): AsyncIterable<StoredLogEvent> {
    this.#followers += 1;
    let after = options.after ?? 0;
    let left = options.limit ?? Number.POSITIVE_INFINITY;
    try {
      while (!signal.aborted && left > 0) {
        const arrival = this.#arrival(signal);
        try {
          const events = await this.read({ after, limit: Math.min(left, 1000) });
          for (const event of events) {
            if (signal.aborted) return;
            yield event;
            after = event.sequence;
            left -= 1;
          }
          if (events.length === 0) await arrival.promise;
        } finally {
          arrival.forget();
        }
      }
    } finally {
      this.#followers -= 1;
      if (this.#followers === 0) this.#dropTail();
    }
  }

  /** Waits for what is being written. */
  async settled(): Promise<void> {
    await this.#work;
  }

  get #previous(): string {
    return previousSegment(this.#file);
  }

  async #openSegments(): Promise<readonly OpenSegment[]> {
    const segments: OpenSegment[] = [];
    for (const file of [this.#previous, this.#file]) {
      const handle = await open(file, 'r').catch(ignoreAbsence);
      if (handle !== undefined) segments.push({ handle, size: (await handle.stat()).size });
    }
    return segments;
  }

  #arrival(signal: AbortSignal): { readonly promise: Promise<void>; readonly forget: () => void } {
    const { promise, resolve } = Promise.withResolvers<void>();
    const forget = (): void => {
      this.#waiting.delete(resolve);
      signal.removeEventListener('abort', onAbort);
    };
    const onAbort = (): void => resolve();
    this.#waiting.add(resolve);
    signal.addEventListener('abort', onAbort, { once: true });
    return { promise, forget };
  }

  async #write(events: readonly LogEvent[]): Promise<void> {
    if (events.length === 0) return;
    if (this.#size > this.#segmentBytes) {
      await rename(this.#file, this.#previous);
      this.#size = 0;
    }
    const stored = events.map((event, index) => ({
      sequence: this.#next + index,
      timestamp: event.timestamp,
      message: event.message.slice(0, longestMessage),
    }));
    const lines = stored.map(({ sequence, timestamp, message }) =>
      JSON.stringify([sequence, timestamp, message] satisfies Row),
    );
    if (this.#size === 0) {
      await mkdir(path.dirname(this.#file), { recursive: true, mode: 0o700 });
      const header: Header = { group: this.#group, stream: this.#stream, first: this.#next };
      lines.unshift(JSON.stringify(header));
    }
    const text = `${lines.join('\n')}\n`;
    try {
      await appendFile(this.#file, text, { mode: 0o600 });
    } catch (error) {
      // A full disk can leave half a line, which the next append would lengthen.
      await truncate(this.#file, this.#size).catch(() => undefined);
      throw error;
    }
    this.#size += Buffer.byteLength(text);
    this.#next += stored.length;
    this.#remember(stored);
    for (const wake of this.#waiting) wake();
  }

  #remember(events: readonly StoredLogEvent[]): void {
    if (this.#followers === 0) return;
    for (const event of events) {
      this.#tail.push(event);
      this.#tailSize += event.message.length + eventCharacters;
    }
    while (this.#tailSize > tailCharacters) {
      const oldest = this.#tail.shift();
      if (oldest === undefined) break;
      this.#tailSize -= oldest.message.length + eventCharacters;
    }
  }

  #dropTail(): void {
    this.#tail = [];
    this.#tailSize = 0;
  }

  /** Finds the next sequence, and cuts off a line that a crash left unfinished. */
  async #recover(): Promise<void> {
    const current = await readFile(this.#file).catch(ignoreAbsence);
    if (current !== undefined) {
      this.#size = current.lastIndexOf('\n') + 1;
      if (this.#size < current.length) await truncate(this.#file, this.#size);
    }
    // Without a whole line the segment was being started when the crash came: the one before it knows.
    const newest = this.#size > 0 ? current : await readFile(this.#previous).catch(ignoreAbsence);
    if (newest !== undefined) this.#next = sequenceAfter(newest);
  }
}

function sequenceAfter(segment: Buffer): number {
  const end = segment.lastIndexOf('\n');
  const last: unknown = JSON.parse(
    segment.toString('utf8', segment.subarray(0, end).lastIndexOf('\n') + 1, end),
  );
  return isRow(last) ? last[0] + 1 : (last as Header).first;
}

/** The names a segment was written for; undefined when it is not one. */
export async function readHeader(file: string): Promise<Pick<Header, 'group' | 'stream'> | undefined> {
  const handle = await open(file, 'r').catch(ignoreAbsence);
  if (handle === undefined) return undefined;
  try {
    for await (const line of handle.readLines()) return JSON.parse(line) as Header;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  } finally {
    await handle.close();
  }
  return undefined;
}

async function* rows(handle: FileHandle, size: number): AsyncIterable<Row> {
  if (size === 0) return;
  const input = handle.createReadStream({ start: 0, end: size - 1, autoClose: false });
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      const parsed: unknown = JSON.parse(line);
      if (isRow(parsed)) yield parsed;
    }
  } finally {
    input.destroy();
  }
}

/** Whether a parsed line is an event and not a header. */
export function isRow(value: unknown): value is Row {
  return Array.isArray(value);
}

/** @throws everything but the absence of a file */
export function ignoreAbsence(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  return undefined;
}
