import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type { Client } from './client.ts';
import type { EventFilter } from './event-filter.ts';

/** As `/dormouse/v1/events` tells of a change of state. */
export interface EventMessage {
  readonly sequence: number;
  /** Epoch seconds. */
  readonly time: number;
  readonly type: string;
  readonly microvmId: string | null;
  readonly imageArn: string;
  readonly imageVersion: string | null;
  readonly buildId: string | null;
  readonly from: string | null;
  readonly to: string;
  readonly reason: string | null;
}

export interface EventQuery extends EventFilter {
  /** Only events after this sequence. */
  readonly after?: number | undefined;
  readonly follow: boolean;
  /** Told when some events are not kept any more. */
  readonly onGap: (next: number) => void;
}

/** Events in order. When the server cuts a stream off that is followed, another one goes on where it was. */
export async function* readEvents(client: Client, query: EventQuery): AsyncGenerator<EventMessage> {
  let { after } = query;
  for (;;) {
    const response = await client.extension(`/dormouse/v1/events?${parametersOf({ ...query, after })}`);
    try {
      for await (const { id, name, data } of parse(response)) {
        if (name === 'gap') query.onGap((JSON.parse(data) as { readonly next: number }).next);
        else if (data !== '') yield JSON.parse(data) as EventMessage;
        if (id !== undefined) after = id;
      }
    } catch (error) {
      if (!query.follow) throw error;
    }
    if (!query.follow) return;
  }
}

function parametersOf({ types = [], microvmId, imageArn, after, follow }: Omit<EventQuery, 'onGap'>): string {
  const parameters: [string, string][] = types.map((type) => ['type', type]);
  if (microvmId !== undefined) parameters.push(['microvmId', microvmId]);
  if (imageArn !== undefined) parameters.push(['imageArn', imageArn]);
  if (after !== undefined) parameters.push(['after', String(after)]);
  parameters.push(['follow', follow ? '1' : '0']);
  return parameters.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
}

interface ServerSentEvent {
  id: number | undefined;
  name: string;
  data: string;
}

async function* parse(response: Response): AsyncIterable<ServerSentEvent> {
  if (response.body === null) return;
  let event: ServerSentEvent = { id: undefined, name: '', data: '' };
  for await (const line of createInterface({ input: Readable.fromWeb(response.body) })) {
    if (line === '') {
      yield event;
      event = { id: undefined, name: '', data: '' };
    } else if (line.startsWith('id: ')) event.id = Number(line.slice(4));
    else if (line.startsWith('event: ')) event.name = line.slice(7);
    else if (line.startsWith('data: ')) event.data = line.slice(6);
  }
}
