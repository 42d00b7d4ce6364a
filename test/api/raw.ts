import { signRequest } from '../../src/api/sigv4/sign.ts';
import { credentials, realm, type TestServer } from './server.ts';

export interface RawAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; undefined for an empty one. */
  readonly json: unknown;
}

/** One signed request, for what a client library would hide. */
export async function raw(
  server: TestServer,
  method: string,
  path: string,
  body?: string | object,
  service = 'lambda',
): Promise<RawAnswer> {
  const url = new URL(path, server.url);
  const text = typeof body === 'object' ? JSON.stringify(body) : (body ?? '');
  const headers = signRequest(
    { method, url, body: text, headers: { 'content-type': 'application/json' } },
    { credentials, region: realm.region, service },
  );
  const response = await fetch(url, { method, headers, body: text === '' ? null : text });
  const answer = await response.text();
  const isJson = response.headers.get('content-type') === 'application/json';
  return {
    status: response.status,
    headers: response.headers,
    text: answer,
    json: isJson ? JSON.parse(answer) : undefined,
  };
}
