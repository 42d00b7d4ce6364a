import assert from 'node:assert/strict';
import fc from 'fast-check';
import { signRequest } from '../../src/api/sigv4/sign.ts';
import { managedBaseImageArn } from '../../src/model/arn.ts';
import { raw } from '../api/raw.ts';
import { credentials, realm, type TestServer } from '../api/server.ts';
import { type Known, type WildRequest, wildRequests } from './requests.ts';

const answerTimeoutMs = 60_000;
/** Their answers go on for as long as somebody reads. */
const streams = /^(text\/event-stream|application\/vnd\.amazon\.eventstream|application\/x-ndjson)/;

/** Sends one request as a client would that signs it. @returns the status */
async function send(server: TestServer, request: WildRequest): Promise<number> {
  const { method, service, path, body, headers } = request;
  const url = new URL(server.url + path);
  const sent = method === 'GET' || method === 'HEAD' ? undefined : body;
  const marker = headers['x-amz-content-sha256'];
  const signed = signRequest(
    { method, url, headers, body: marker === undefined ? (sent ?? '') : { hash: marker } },
    { credentials, region: realm.region, service },
  );
  const response = await fetch(url, {
    method,
    headers: signed,
    body: sent ?? null,
    redirect: 'manual',
    signal: AbortSignal.timeout(answerTimeoutMs),
  });
  if (streams.test(response.headers.get('content-type') ?? '')) await response.body?.cancel();
  else await response.arrayBuffer();
  return response.status;
}

/** An image and a microVM for requests to name. */
async function prepare(server: TestServer): Promise<Known> {
  const created = await raw(server, 'POST', '/2025-09-09/microvm-images', {
    name: 'demo',
    baseImageArn: managedBaseImageArn(realm.region),
    buildRoleArn: `arn:aws:iam::${realm.accountId}:role/build`,
    codeArtifact: { uri: 's3://bucket/demo.zip' },
  });
  const run = await raw(server, 'POST', '/2025-09-09/microvms', { imageIdentifier: 'demo' });
  return {
    imageArn: (created.json as { imageArn: string }).imageArn,
    microvmId: (run.json as { microvmId: string }).microvmId,
  };
}

export interface FuzzOptions {
  readonly requests: number;
  /** The same one makes the same requests; a new one when absent. */
  readonly seed?: number | undefined;
  /** Told of every answer. */
  readonly onAnswer?: (status: number) => void;
}

/**
 * Sends wild requests, one after another, each of which has to be answered in time and not with a failure of ours.
 * @returns how often each status was answered
 * @throws with the seed and the least request that shows it
 */
export async function fuzz(server: TestServer, options: FuzzOptions): Promise<ReadonlyMap<number, number>> {
  const { requests, seed, onAnswer } = options;
  const known = await prepare(server);
  const statuses = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(wildRequests(known), async (request) => {
      const status = await send(server, request);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      onAnswer?.(status);
      assert.deepEqual(server.faults, []);
      assert.ok(status < 500 || status === 501, `${status}`);
    }),
    { numRuns: requests, ...(seed === undefined ? {} : { seed }) },
  );
  return statuses;
}
