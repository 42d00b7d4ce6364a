import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type { StoredLogEvent } from '../telemetry/log-store.ts';
import type { Client } from './client.ts';

export interface LogQuery {
  readonly group: string;
  readonly stream: string;
  /** Only events after this sequence. */
  readonly after?: number;
  readonly follow?: boolean;
}

/** Events of one stream; with `follow` until the signal aborts. */
export async function* readLog(
  client: Client,
  { group, stream, after, follow }: LogQuery,
  signal?: AbortSignal,
): AsyncIterable<StoredLogEvent> {
  let next = after ?? 0;
  for (;;) {
    const query = new URLSearchParams({
      group,
      stream,
      after: String(next),
      ...(follow ? { follow: '1' } : {}),
    });
    // `+` for a space is not what the signature's encoding knows.
    const encoded = query.toString().replaceAll('+', '%20');
    const response = await client.extension(`/dormouse/v1/logs?${encoded}`, signal);
    const before = next;
    for await (const event of parse(response)) {
      yield event;
      next = event.sequence;
    }
    // The server bounds one answer; an empty one is the end.
    if (follow || next === before) return;
  }
}

export async function logStreams(client: Client, group: string): Promise<readonly string[]> {
  const response = await client.extension(`/dormouse/v1/log-streams?group=${encodeURIComponent(group)}`);
  return ((await response.json()) as { streams: readonly string[] }).streams;
}

async function* parse(response: Response): AsyncIterable<StoredLogEvent> {
  if (response.body === null) return;
  const lines = createInterface({ input: Readable.fromWeb(response.body) });
  for await (const line of lines) {
    if (line !== '') yield JSON.parse(line) as StoredLogEvent;
  }
}
