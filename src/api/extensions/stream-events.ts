import type { ServerResponse } from 'node:http';
import { notImplemented } from '../../errors.ts';
import type { EventFeed, FeedItem } from '../../events/event-feed.ts';
import { eventMessage } from '../../events/event-message.ts';
import { drained } from '../http/drained.ts';
import { defineOperation, StreamedAnswer } from '../operation.ts';
import { inQuery, list, long, oneOf, optional, structure, text } from '../shapes/shape.ts';

/** Keeps proxies, and our own limit on silent connections, from ending a quiet stream. */
const heartbeatMs = 15_000;

/** What narrows the events, here and for webhooks. */
export const eventFilter = {
  types: optional(list(text({ min: 1, max: 64, pattern: '[a-z_.*-]+' }), { min: 1, max: 20 })),
  microvmId: optional(text({ min: 1, max: 256 })),
  imageArn: optional(text({ min: 1, max: 2048 })),
};

/**
 * Changes of state as server-sent events, each with its sequence as `id`. Without `after` (or `Last-Event-ID`) it
 * starts with what happens next; `after=0` gives all that is kept. With `follow=0` it ends where the events end.
 * An event named `gap` tells that some could not be given any more.
 */
export const streamEvents = defineOperation({
  name: 'StreamEvents',
  method: 'GET',
  path: '/dormouse/v1/events',
  status: 200,
  input: structure({
    types: inQuery(eventFilter.types, 'type'),
    microvmId: inQuery(eventFilter.microvmId),
    imageArn: inQuery(eventFilter.imageArn),
    after: inQuery(optional(long({ min: 0 }))),
    follow: inQuery(optional(oneOf(['0', '1']))),
  }),
  async handle({ after, follow, ...filter }, { api, signal, headers }) {
    const feed = api.services.events;
    if (feed === undefined) throw notImplemented('The stream of events');
    const start = lastEventId(headers.get('last-event-id')) ?? after ?? (await feed.newest());
    const leave = feed.enter();
    return new StreamedAnswer(async (response) => {
      try {
        await write(response, feed.read({ after: start, filter, follow: follow !== '0', signal }), signal);
      } finally {
        leave();
      }
    });
  },
});

/** A client that reconnects sends back the `id` it saw last, whatever its query says. */
function lastEventId(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
}

async function write(
  response: ServerResponse,
  items: ReturnType<EventFeed['read']>,
  signal: AbortSignal,
): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  response.flushHeaders();
  const heartbeat = setInterval(() => {
    if (!response.writableNeedDrain) response.write(': heartbeat\n\n');
  }, heartbeatMs);
  try {
    for await (const item of items) {
      if (!response.write(format(item))) await drained(response, signal);
    }
    response.end();
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    clearInterval(heartbeat);
  }
}

function format(item: FeedItem): string {
  switch (item.type) {
    case 'event':
      return `id: ${item.event.sequence}\ndata: ${JSON.stringify(eventMessage(item.event))}\n\n`;
    case 'position':
      // Without data it is no event for the client, but it comes back as the place to go on from.
      return `id: ${item.sequence}\n\n`;
    case 'gap':
      return `event: gap\ndata: ${JSON.stringify({ after: item.after, next: item.next })}\n\n`;
  }
}
