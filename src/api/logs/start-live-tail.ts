import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { drained } from '../http/drained.ts';
import { encodeEvent, eventStreamType } from '../http/event-stream.ts';
import { StreamedAnswer } from '../operation.ts';
import { list, optional, required, structure, text } from '../shapes/shape.ts';
import { defineAction } from './action.ts';
import { parseFilterPattern } from './filter-pattern.ts';
import { LiveTail } from './live-tail.ts';
import { groupArn, groupOf, streamName, streamsOf } from './log-group.ts';
import { contradictingMembers, tooManyLiveTails } from './logs-error.ts';

const updateMs = 1000;
/** As at the service. */
const mostSessions = 15;
/** As at the service. */
const longestSessionMs = 3 * 3600 * 1000;

/** What is written to log groups while somebody looks, in updates of one second. */
export const startLiveTail = defineAction({
  name: 'StartLiveTail',
  input: structure({
    logGroupIdentifiers: required(list(text({ min: 1, max: 2048 }), { min: 1, max: 10 })),
    logStreamNames: optional(list(streamName, { min: 1, max: 100 })),
    logStreamNamePrefixes: optional(list(streamName, { min: 1, max: 100 })),
    logEventFilterPattern: optional(text({ min: 0, max: 1024 })),
  }),
  async handle(input, call) {
    const { logGroupIdentifiers, logStreamNames, logStreamNamePrefixes, logEventFilterPattern = '' } = input;
    if (logStreamNames !== undefined && logStreamNamePrefixes !== undefined) {
      throw contradictingMembers('logStreamNames', 'logStreamNamePrefixes');
    }
    const groups = logGroupIdentifiers.map((logGroupIdentifier) => groupOf({ logGroupIdentifier }));
    for (const group of groups) await streamsOf(group, call);
    const { signal, requestId, logs } = call;
    const { realm, clock } = call.api.options;
    const ended = AbortSignal.any([signal, AbortSignal.timeout(longestSessionMs)]);
    const tail = new LiveTail(
      logs,
      {
        groups,
        since: clock.now(),
        wantsMessage: parseFilterPattern(logEventFilterPattern),
        wantsStream: (stream) =>
          logStreamNames?.includes(stream) ??
          logStreamNamePrefixes?.some((prefix) => stream.startsWith(prefix)) ??
          true,
      },
      ended,
    );
    const start = {
      requestId,
      sessionId: randomUUID(),
      logGroupIdentifiers: groups.map((group) => groupArn(realm, group)),
      logStreamNames: logStreamNames ?? [],
      logStreamNamePrefixes: logStreamNamePrefixes ?? [],
      logEventFilterPattern,
    };
    const nameOf = (group: string): string => `${realm.accountId}:${group}`;
    const { sessions } = call;
    if (sessions.size >= mostSessions) throw tooManyLiveTails(mostSessions);
    sessions.add(tail);
    return new StreamedAnswer((response) =>
      write(response, start, tail, nameOf, ended).finally(() => sessions.delete(tail)),
    );
  },
});

async function write(
  response: ServerResponse,
  start: object,
  tail: LiveTail,
  nameOf: (group: string) => string,
  signal: AbortSignal,
): Promise<void> {
  const send = async (name: string, document: object): Promise<void> => {
    if (!response.write(encodeEvent(name, document))) await drained(response, signal);
  };
  response.writeHead(200, { 'content-type': eventStreamType });
  try {
    await send('initial-response', {});
    await send('sessionStart', start);
    while (!signal.aborted) {
      await tail.lookForStreams();
      await setTimeout(updateMs, undefined, { signal });
      const { events, sampled } = tail.take();
      await send('sessionUpdate', {
        sessionMetadata: { sampled },
        sessionResults: events.map(({ group, stream, message, timestamp }) => ({
          logGroupIdentifier: nameOf(group),
          logStreamName: stream,
          message,
          timestamp,
          ingestionTime: timestamp,
        })),
      });
    }
    response.end();
  } catch (error) {
    if (!signal.aborted) throw error;
    response.end();
  }
}
