import { signRequest } from '../../src/api/sigv4/sign.ts';
import type { Ready } from './server-process.ts';

/**
 * One call of Dormouse's own API, which the official client does not know.
 * @param at below /dormouse/v1/
 * @throws the server refused it
 */
export async function callExtension(
  ready: Ready,
  method: 'GET' | 'POST' | 'DELETE',
  at: string,
  content?: object,
): Promise<unknown> {
  const url = new URL(`/dormouse/v1/${at}`, ready.apiEndpoint);
  const body = content === undefined ? {} : { body: JSON.stringify(content) };
  const headers = signRequest(
    { method, url, ...body },
    { credentials: ready, region: ready.region, service: 'lambda' },
  );
  const answer = await fetch(url, { method, headers, ...body });
  if (!answer.ok) throw new Error(`${at} was answered ${answer.status}: ${await answer.text()}`);
  return answer.status === 204 ? undefined : await answer.json();
}
