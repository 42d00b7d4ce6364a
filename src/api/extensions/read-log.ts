import type { ServerResponse } from 'node:http';
import type { StoredLogEvent } from '../../telemetry/log-store.ts';
import { drained } from '../http/drained.ts';
import { defineOperation, StreamedAnswer } from '../operation.ts';
import { inQuery, integer, oneOf, optional, required, structure } from '../shapes/shape.ts';
import { logName } from './list-log-streams.ts';

const largestRead = 10_000;
/** Keeps proxies, and our own limit on silent connections, from ending a quiet stream. */
const heartbeatMs = 15_000;

/**
 * Events of one log stream as NDJSON: `{"sequence", "timestamp", "message"}`, timestamp in epoch milliseconds.
 * With `follow=1` the answer goes on as events come; empty lines are heartbeats.
 */
export const readLog = defineOperation({
  name: 'ReadLog',
  method: 'GET',
  path: '/dormouse/v1/logs',
  status: 200,
  input: structure({
    group: inQuery(required(logName)),
    stream: inQuery(required(logName)),
    after: inQuery(optional(integer({ min: 0 }))),
    limit: inQuery(optional(integer({ min: 1, max: largestRead }))),
    follow: inQuery(optional(oneOf(['0', '1']))),
  }),
  async handle({ group, stream, after, limit = largestRead, follow }, { api, signal }) {
    const { logs } = api.services;
    if (follow === '1') {
      const events = logs.follow(group, stream, { after }, signal);
      return new StreamedAnswer((response) => writeEvents(response, events, signal));
    }
    const events = await logs.read(group, stream, { after, limit });
    return new StreamedAnswer((response) => writeEvents(response, events, signal));
  },
});

async function writeEvents(
  response: ServerResponse,
  events: AsyncIterable<StoredLogEvent> | Iterable<StoredLogEvent>,
  signal: AbortSignal,
): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  const heartbeat = setInterval(() => response.write('\n'), heartbeatMs);
  try {
    for await (const { sequence, timestamp, message } of events) {
      const line = `${JSON.stringify({ sequence, timestamp, message })}\n`;
      if (!response.write(line)) await drained(response, signal);
    }
    response.end();
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    clearInterval(heartbeat);
  }
}
