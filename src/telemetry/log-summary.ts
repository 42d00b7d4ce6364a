import { type FileHandle, open } from 'node:fs/promises';
import { ignoreAbsence, isRow, previousSegment } from './log-file.ts';
import type { LogStreamDescription } from './log-store.ts';

const smallestTail = 4096;

interface SegmentSummary {
  readonly name: string;
  readonly firstEventAt: number;
  readonly lastEventAt: number;
  readonly createdAt: number;
  readonly writtenAt: number;
  readonly size: number;
}

/** Describes a stream from the ends of its segments; undefined when there is no event. */
export async function summarizeStream(file: string): Promise<LogStreamDescription | undefined> {
  const older = await summarizeSegment(previousSegment(file));
  const newer = await summarizeSegment(file);
  const first = older ?? newer;
  const last = newer ?? older;
  if (first === undefined || last === undefined) return undefined;
  return {
    name: first.name,
    createdAt: first.createdAt,
    firstEventAt: first.firstEventAt,
    lastEventAt: last.lastEventAt,
    writtenAt: last.writtenAt,
    storedBytes: (older?.size ?? 0) + (newer?.size ?? 0),
  };
}

async function summarizeSegment(file: string): Promise<SegmentSummary | undefined> {
  const handle = await open(file, 'r').catch(ignoreAbsence);
  if (handle === undefined) return undefined;
  try {
    const { size, birthtimeMs, mtimeMs } = await handle.stat();
    const last = timeOf(await lastLine(handle, size));
    const [header = '', row] = await firstLines(handle, 2);
    const first = timeOf(row);
    if (first === undefined || last === undefined) return undefined;
    const { stream } = JSON.parse(header) as { readonly stream: string };
    return {
      name: stream,
      firstEventAt: first,
      lastEventAt: last,
      createdAt: Math.floor(birthtimeMs),
      writtenAt: Math.floor(mtimeMs),
      size,
    };
  } catch (error) {
    // Half a line, left by a crash, in a segment that holds nothing else.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  } finally {
    await handle.close();
  }
}

function timeOf(line: string | undefined): number | undefined {
  if (line === undefined || line === '') return undefined;
  const parsed: unknown = JSON.parse(line);
  return isRow(parsed) ? parsed[1] : undefined;
}

async function firstLines(handle: FileHandle, count: number): Promise<readonly string[]> {
  const lines: string[] = [];
  for await (const line of handle.readLines({ start: 0, autoClose: false })) {
    if (lines.push(line) >= count) break;
  }
  return lines;
}

/** The last line with a line end: one without is being written, or was when the machine stopped. */
async function lastLine(handle: FileHandle, size: number): Promise<string> {
  for (let length = Math.min(smallestTail, size); ; length = Math.min(length * 4, size)) {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, size - length);
    const end = buffer.subarray(0, bytesRead).lastIndexOf('\n');
    const start = end <= 0 ? -1 : buffer.lastIndexOf('\n', end - 1);
    if (start >= 0) return buffer.toString('utf8', start + 1, end);
    if (length === size) return end < 0 ? '' : buffer.toString('utf8', 0, end);
  }
}
