import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { signRequest } from '../../src/api/sigv4/sign.ts';
import { defaultBucketName } from '../../src/s3/disk-object-store.ts';
import { fuzz } from '../fuzz/wild-server.ts';
import { raw } from './raw.ts';
import { credentials, realm, startServer, type TestServer } from './server.ts';

const answerTimeoutMs = 60_000;

let server: TestServer;

before(async () => {
  server = await startServer('relaxed');
});

after(async () => {
  await server.close();
});

test('no signed request fails inside or goes unanswered', async () => {
  const requests = 500;
  const statuses = await fuzz(server, { requests });
  // The requests have to get past the door to prove anything.
  const count = (...wanted: readonly number[]): number =>
    wanted.reduce((sum, status) => sum + (statuses.get(status) ?? 0), 0);
  assert.ok(count(200, 201, 204) > requests / 50, JSON.stringify([...statuses]));
  assert.ok(count(400) > requests / 50, JSON.stringify([...statuses]));
});

/** Sends bytes as they are and gives what comes back until the server closes. */
async function exchange(bytes: string | Buffer): Promise<string> {
  const { hostname, port } = new URL(server.url);
  const socket = net.connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.write(bytes);
  let answer = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    answer += chunk;
  });
  socket.on('error', () => undefined);
  await once(socket, 'close', { signal: AbortSignal.timeout(answerTimeoutMs) });
  return answer;
}

test('no bytes bring it down', async () => {
  const line = fc.oneof(
    fc.constantFrom(
      'GET / HTTP/1.1',
      'POST /2025-09-09/microvms HTTP/1.1',
      'host: a',
      'content-length: 5',
      '',
    ),
    fc.constantFrom(
      'transfer-encoding: chunked',
      'content-length: -1',
      'connection: upgrade',
      'expect: 100-continue',
    ),
    fc.string({ unit: 'binary', maxLength: 30 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 8 }), async (lines) => {
      await exchange(`${lines.join('\r\n')}\r\nconnection: close\r\n\r\n\0`);
      assert.deepEqual(server.faults, []);
    }),
    { numRuns: 20 },
  );
  assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
});

test('refuses what is too large with an answer that arrives', async () => {
  const path = '/2025-09-09/microvms';
  const large = await raw(server, 'POST', path, 'x'.repeat(2 * 1024 * 1024));
  assert.equal(large.status, 413);
  assert.equal(large.headers.get('x-amzn-errortype'), 'RequestEntityTooLargeException');
  const header = `GET /healthz HTTP/1.1\r\nhost: a\r\nx-long: ${'x'.repeat(40_000)}\r\n\r\n`;
  assert.match(await exchange(header), /^HTTP\/1.1 431 /);
  assert.match(await exchange('nonsense\r\n\r\n'), /^HTTP\/1.1 400 /);
});

test('answers a refusal on a connection it can go on using', async () => {
  const request = 'POST /2025-09-09/microvms HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nabcde';
  const answer = await exchange(`${request}GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`);
  assert.deepEqual(
    [...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status),
    ['403', '200'],
  );
});

test('leaves nothing of an upload that broke off', async () => {
  const url = new URL(`${server.url}/${defaultBucketName(realm.accountId)}/broken`);
  const signed = signRequest(
    { method: 'PUT', url, body: { hash: 'UNSIGNED-PAYLOAD' } },
    { credentials, region: realm.region, service: 's3' },
  );
  const lines = Object.entries(signed).map(([name, value]) => `${name}: ${value}`);
  const { hostname, port } = url;
  const socket = net.connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.write(`PUT ${url.pathname} HTTP/1.1\r\n${lines.join('\r\n')}\r\ncontent-length: 100\r\n\r\nhalf`);
  socket.resume().end();
  await once(socket, 'close', { signal: AbortSignal.timeout(answerTimeoutMs) });
  const { text } = await raw(server, 'GET', url.pathname, undefined, 's3');
  assert.match(text, /<Code>NoSuchKey<\/Code>/);
  assert.deepEqual(server.faults, []);
});
