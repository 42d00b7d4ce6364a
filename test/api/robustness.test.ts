import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { extensionOperations } from '../../src/api/extensions/index.ts';
import { operations } from '../../src/api/operations/index.ts';
import { signRequest } from '../../src/api/sigv4/sign.ts';
import { managedBaseImageArn } from '../../src/model/arn.ts';
import { defaultBucketName } from '../../src/s3/disk-object-store.ts';
import { raw } from './raw.ts';
import { credentials, realm, startServer, type TestServer } from './server.ts';

/** More in a special run: `FUZZ_RUNS=100000 FUZZ_SEED=1 node --test test/api/robustness.test.ts`. */
const runs = Number(process.env.FUZZ_RUNS ?? 500);
const seed = process.env.FUZZ_SEED === undefined ? {} : { seed: Number(process.env.FUZZ_SEED) };
const answerTimeoutMs = 10_000;

let server: TestServer;
let imageArn: string;
let microvmId: string;

before(async () => {
  server = await startServer('relaxed');
  const created = await raw(server, 'POST', '/2025-09-09/microvm-images', {
    name: 'demo',
    baseImageArn: managedBaseImageArn(realm.region),
    buildRoleArn: `arn:aws:iam::${realm.accountId}:role/build`,
    codeArtifact: { uri: 's3://bucket/demo.zip' },
  });
  imageArn = (created.json as { imageArn: string }).imageArn;
  const run = await raw(server, 'POST', '/2025-09-09/microvms', { imageIdentifier: 'demo' });
  microvmId = (run.json as { microvmId: string }).microvmId;
});

after(async () => {
  await server.close();
});

const wild = fc
  .string({ unit: 'binary', maxLength: 20 })
  .map((text) => encodeURIComponent(text.toWellFormed()));
const parameter = fc.oneof(
  fc.constantFrom(
    'maxResults',
    'nextToken',
    'imageIdentifier',
    'tagKeys',
    'group',
    'stream',
    'list-type',
    'uploadId',
  ),
  fc.constantFrom(
    'max-keys',
    'prefix',
    'delimiter',
    'uploads',
    'partNumber',
    'delete',
    'encoding-type',
    'X-Amz-Date',
  ),
  wild,
);
const query = fc
  .array(fc.tuple(parameter, fc.oneof(wild, fc.constantFrom('1', '50', '', '%', '%zz', 'url', '-1'))), {
    maxLength: 4,
  })
  .map((pairs) => pairs.map(([name, value]) => `${name}=${value}`).join('&'));

/** A path with the operation's shape: real, strange and missing values in its places. */
const jsonTarget = fc
  .tuple(
    fc.constantFrom(...operations, ...extensionOperations),
    fc.array(fc.oneof(wild, fc.constant('known'))),
  )
  .map(([{ method, path }, values]) => {
    const known = (name: string) =>
      name.startsWith('microvm') ? microvmId : encodeURIComponent(name === 'imageVersion' ? '1.0' : imageArn);
    const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => {
      const value = values.pop();
      return value === undefined || value === 'known' ? known(name) : value;
    });
    return { method, path: filled, service: 'lambda' };
  });

const s3Target = fc
  .tuple(
    fc.constantFrom('GET', 'PUT', 'POST', 'HEAD', 'DELETE', 'PATCH'),
    fc.constantFrom('', 'none', defaultBucketName(realm.accountId)),
    wild,
  )
  .map(([method, bucket, key]) => ({ method, path: `/${bucket}/${key}`, service: 's3' }));

const anyTarget = fc
  .tuple(
    fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'OPTIONS'),
    fc.array(wild),
    fc.constantFrom('lambda', 's3', 'sts', 'logs', 'ec2'),
  )
  .map(([method, segments, service]) => ({ method, path: `/${segments.join('/')}`, service }));

const body = fc.oneof(
  fc.json(),
  fc.string(),
  fc.constantFrom(
    '',
    '{}',
    '[]',
    'null',
    '{"allowedPorts":[{}]}',
    'Action=GetCallerIdentity',
    '<Delete><a/></Delete>',
  ),
  fc
    .record(
      {
        imageIdentifier: fc.oneof(fc.string(), fc.constant('demo')),
        name: fc.string(),
        tags: fc.dictionary(fc.string(), fc.string()),
        Tags: fc.dictionary(fc.string(), fc.string()),
        idlePolicy: fc.object(),
        environmentVariables: fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer())),
        codeArtifact: fc.oneof(fc.object(), fc.record({ uri: fc.string() })),
        allowedPorts: fc.array(fc.oneof(fc.object(), fc.record({ port: fc.integer() }))),
        expirationInMinutes: fc.oneof(fc.integer(), fc.double()),
        status: fc.string(),
      },
      { requiredKeys: [] },
    )
    .map((value) => JSON.stringify(value)),
);

const headers = fc.dictionary(
  fc.constantFrom(
    'range',
    'x-amz-copy-source',
    'x-amz-trailer',
    'x-amz-meta-a',
    'x-amz-checksum-crc32',
    'x-amz-sdk-checksum-algorithm',
    'x-amz-decoded-content-length',
    'content-md5',
    'content-encoding',
    'if-match',
    'if-none-match',
    'if-modified-since',
    'x-amz-content-sha256',
  ),
  fc.oneof(
    fc.stringMatching(/^[ -~]{0,20}$/),
    fc.constantFrom('bytes=0-1', '*', 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'),
  ),
  { maxKeys: 3 },
);

test('no signed request fails inside or goes unanswered', async () => {
  const target = fc.oneof(
    { weight: 3, arbitrary: jsonTarget },
    { weight: 2, arbitrary: s3Target },
    anyTarget,
  );
  const statuses = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(target, query, body, headers, async ({ method, path, service }, search, text, extra) => {
      const url = new URL(`${server.url}${path}?${search}`);
      const sent = method === 'GET' || method === 'HEAD' ? undefined : text;
      const marker = extra['x-amz-content-sha256'];
      const signed = signRequest(
        { method, url, headers: extra, body: marker === undefined ? (sent ?? '') : { hash: marker } },
        { credentials, region: realm.region, service },
      );
      const response = await fetch(url, {
        method,
        headers: signed,
        body: sent ?? null,
        redirect: 'manual',
        signal: AbortSignal.timeout(answerTimeoutMs),
      });
      // The stream of events has no end.
      if (response.headers.get('content-type') === 'text/event-stream') await response.body?.cancel();
      else await response.arrayBuffer();
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
      assert.deepEqual(server.faults, []);
      assert.ok(response.status < 500 || response.status === 501, `${response.status}`);
    }),
    { numRuns: runs, ...seed },
  );
  // The requests have to get past the door to prove anything.
  assert.ok((statuses.get(200) ?? 0) + (statuses.get(204) ?? 0) > runs / 50, JSON.stringify([...statuses]));
  assert.ok((statuses.get(400) ?? 0) > runs / 50, JSON.stringify([...statuses]));
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
    { numRuns: Math.min(runs, 200) / 10 },
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
