import type { IncomingMessage } from 'node:http';

/** The parts of an HTTP request a signature covers, as they came over the wire. */
export interface SignableRequest {
  readonly method: string;
  /** Path as sent, percent-encoding included, without the query. */
  readonly path: string;
  /** Query as sent, without the question mark. */
  readonly query: string;
  /** Lower-case names; repeated headers joined with a comma. */
  readonly headers: ReadonlyMap<string, string>;
}

/** Reads the raw headers, because Node drops or joins repeated ones in ways a signature does not. */
export function signableRequest(message: IncomingMessage): SignableRequest {
  const url = message.url ?? '/';
  const mark = url.indexOf('?');
  return {
    method: message.method ?? 'GET',
    path: mark === -1 ? url : url.slice(0, mark),
    query: mark === -1 ? '' : url.slice(mark + 1),
    headers: joinHeaders(message.rawHeaders),
  };
}

function joinHeaders(raw: readonly string[]): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] ?? '').toLowerCase();
    const value = raw[i + 1] ?? '';
    const earlier = headers.get(name);
    headers.set(name, earlier === undefined ? value : `${earlier},${value}`);
  }
  return headers;
}
