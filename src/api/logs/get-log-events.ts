import type { StoredLogEvent } from '../../telemetry/log-store.ts';
import { boolean, optional, required, structure } from '../shapes/shape.ts';
import { defineAction } from './action.ts';
import { eventSize, largestAnswer } from './event-size.ts';
import {
  eventLimit,
  groupMembers,
  groupOf,
  mostEvents,
  nextToken,
  streamName,
  streamsOf,
  time,
} from './log-group.ts';
import { invalidLogToken, noSuchLogStream } from './logs-error.ts';

const tokenDigits = 56;

/** Where to read from, and which way. */
interface Position {
  readonly direction: 'f' | 'b';
  /** Sequence of the last event seen in that direction. */
  readonly sequence: number;
}

/** At either end of the stream the token that led there comes back, which is how clients know that it is one. */
export const getLogEvents = defineAction({
  name: 'GetLogEvents',
  input: structure({
    ...groupMembers,
    logStreamName: required(streamName),
    startTime: optional(time),
    endTime: optional(time),
    nextToken,
    limit: eventLimit,
    startFromHead: optional(boolean),
    unmask: optional(boolean),
  }),
  async handle(input, call) {
    const { logStreamName, startTime = 0, endTime = Number.POSITIVE_INFINITY, limit = mostEvents } = input;
    const group = groupOf(input);
    const streams = await streamsOf(group, call);
    if (!streams.some((stream) => stream.name === logStreamName)) throw noSuchLogStream();
    const from = input.nextToken === undefined ? undefined : readPosition(input.nextToken);
    const forward = from === undefined ? input.startFromHead === true : from.direction === 'f';
    const wanted = (event: StoredLogEvent): boolean =>
      event.timestamp >= startTime && event.timestamp < endTime && isBeyond(event, from);
    const all = call.logs.scan(group, logStreamName);
    const events = await (forward ? firstOf(all, wanted, limit) : lastOf(all, wanted, limit));
    const before = from?.direction === 'b' ? from.sequence : (from?.sequence ?? 0) + 1;
    return {
      events: events.map(({ timestamp, message }) => ({ timestamp, message, ingestionTime: timestamp })),
      nextForwardToken: writePosition({ direction: 'f', sequence: events.at(-1)?.sequence ?? before - 1 }),
      nextBackwardToken: writePosition({ direction: 'b', sequence: events[0]?.sequence ?? before }),
    };
  },
});

function isBeyond({ sequence }: StoredLogEvent, from: Position | undefined): boolean {
  if (from === undefined) return true;
  return from.direction === 'f' ? sequence > from.sequence : sequence < from.sequence;
}

type Wanted = (event: StoredLogEvent) => boolean;

async function firstOf(
  all: AsyncIterable<StoredLogEvent>,
  wanted: Wanted,
  limit: number,
): Promise<readonly StoredLogEvent[]> {
  const events: StoredLogEvent[] = [];
  let size = 0;
  for await (const event of all) {
    if (!wanted(event)) continue;
    size += eventSize(event);
    if (size > largestAnswer && events.length > 0) break;
    if (events.push(event) >= limit) break;
  }
  return events;
}

async function lastOf(
  all: AsyncIterable<StoredLogEvent>,
  wanted: Wanted,
  limit: number,
): Promise<readonly StoredLogEvent[]> {
  const events: StoredLogEvent[] = [];
  let first = 0;
  let size = 0;
  for await (const event of all) {
    if (!wanted(event)) continue;
    events.push(event);
    size += eventSize(event);
    for (;;) {
      const oldest = events[first];
      const kept = events.length - first;
      if (oldest === undefined || kept === 1 || (kept <= limit && size <= largestAnswer)) break;
      size -= eventSize(oldest);
      first += 1;
    }
    if (first >= mostEvents) {
      events.splice(0, first);
      first = 0;
    }
  }
  return events.slice(first);
}

function writePosition({ direction, sequence }: Position): string {
  return `${direction}/${String(sequence).padStart(tokenDigits, '0')}/s`;
}

/** @throws {LogsError} */
function readPosition(token: string): Position {
  const [, direction, digits] = /^([fb])\/(\d{56})\/s$/.exec(token) ?? [];
  const sequence = Number(digits);
  if (direction === undefined || !Number.isSafeInteger(sequence)) throw invalidLogToken();
  return { direction: direction === 'f' ? 'f' : 'b', sequence };
}
