import { createHash } from 'node:crypto';
import { boolean, list, optional, structure, text } from '../shapes/shape.ts';
import { defineAction } from './action.ts';
import { parseFilterPattern } from './filter-pattern.ts';
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
import { contradictingMembers, noSuchLogStream } from './logs-error.ts';
import { type EventKey, mergeEvents } from './merged-events.ts';

export const filterLogEvents = defineAction({
  name: 'FilterLogEvents',
  input: structure({
    ...groupMembers,
    logStreamNames: optional(list(streamName, { min: 1, max: 100 })),
    logStreamNamePrefix: optional(streamName),
    startTime: optional(time),
    endTime: optional(time),
    filterPattern: optional(text({ min: 0, max: 1024 })),
    nextToken,
    limit: eventLimit,
    /** Always so since 2019; taken and ignored. */
    interleaved: optional(boolean),
    unmask: optional(boolean),
  }),
  async handle(input, call) {
    const { logStreamNames: names, logStreamNamePrefix: prefix, filterPattern = '' } = input;
    const { startTime = 0, endTime = Number.POSITIVE_INFINITY, limit = mostEvents } = input;
    if (names !== undefined && prefix !== undefined) {
      throw contradictingMembers('logStreamNames', 'logStreamNamePrefix');
    }
    const group = groupOf(input);
    const matches = parseFilterPattern(filterPattern);
    const known = await streamsOf(group, call);
    if (names?.some((name) => known.every((stream) => stream.name !== name))) throw noSuchLogStream();
    const streams = known
      .filter(({ name }) => names?.includes(name) ?? name.startsWith(prefix ?? ''))
      .map(({ name }) => name);

    const { pageTokens } = call.api;
    const scope = {
      operation: 'FilterLogEvents',
      filter: {
        group,
        streams: names === undefined ? prefix : JSON.stringify(names),
        filterPattern,
        startTime: String(startTime),
        endTime: String(endTime),
      },
    };
    const { events, more } = await mergeEvents(call.logs, {
      group,
      streams,
      limit,
      after: input.nextToken === undefined ? undefined : parseKey(pageTokens.open(input.nextToken, scope)),
      wanted: ({ timestamp, message }) => timestamp >= startTime && timestamp <= endTime && matches(message),
    });
    const last = events.at(-1);
    return {
      events: events.map((event) => ({
        logStreamName: event.stream,
        timestamp: event.timestamp,
        message: event.message,
        ingestionTime: event.timestamp,
        eventId: eventId(event),
      })),
      searchedLogStreams: [],
      ...(more && last !== undefined ? { nextToken: pageTokens.seal(formatKey(last), scope) } : {}),
    };
  },
});

function formatKey({ timestamp, stream, sequence }: EventKey): string {
  return JSON.stringify([timestamp, stream, sequence]);
}

/** Sealed by us, so taken as it stands. */
function parseKey(position: string): EventKey {
  const [timestamp, stream, sequence] = JSON.parse(position) as [number, string, number];
  return { timestamp, stream, sequence };
}

/** 56 digits as the service's, the same for an event whenever it is read: clients tell events apart by them. */
function eventId({ timestamp, stream, sequence }: EventKey): string {
  const place = createHash('sha256').update(stream).digest().readBigUInt64BE();
  return `${pad(timestamp, 16)}${pad(place, 20)}${pad(sequence, 20)}`;
}

function pad(value: number | bigint, digits: number): string {
  return String(value).padStart(digits, '0');
}
