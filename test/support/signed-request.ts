import assert from 'node:assert/strict';
import { signRequest } from '../../src/api/sigv4/sign.ts';
import type { Ready } from './dormouse-server.ts';

/** One signed request to what no client library knows, answered with a document or nothing. */
export async function signedRequest(
  ready: Ready,
  method: string,
  path: string,
  body?: object,
): Promise<{ readonly status: number; readonly json: unknown }> {
  const url = new URL(path, ready.apiEndpoint);
  const text = body === undefined ? undefined : JSON.stringify(body);
  const headers = signRequest(
    { method, url, body: text },
    { credentials: ready, region: ready.region, service: 'lambda' },
  );
  const response = await fetch(url, { method, headers, body: text ?? null });
  const answer = await response.text();
  return { status: response.status, json: answer === '' ? undefined : JSON.parse(answer) };
}

/** The same, which has to succeed. */
export async function signedSuccess(
  ...request: Parameters<typeof signedRequest>
): Promise<Record<string, unknown>> {
  const { status, json } = await signedRequest(...request);
  assert.ok(status >= 200 && status < 300, `${status} ${JSON.stringify(json)}`);
  return json as Record<string, unknown>;
}
