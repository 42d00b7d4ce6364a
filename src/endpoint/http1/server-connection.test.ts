import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { duplexPair } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { openLocalCertificates } from '../certificates.ts';
import type { Exchange } from '../exchange.ts';
import { ServerConnection } from './server-connection.ts';

const limits = {
  headerBytes: 65_536,
  headersTimeoutMs: 15_000,
  keepAliveTimeoutMs: 75_000,
  totalTimeMs: Number.POSITIVE_INFINITY,
  idleTimeoutMs: 1e9,
};
const body = 'x'.repeat(4 * 1024 * 1024);

/** A client, and the connection that serves it, whose time passes when the test says so. */
async function connected(
  t: TestContext,
  serve: (exchange: Exchange) => void,
  replaced: Partial<typeof limits> = {},
) {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-h1-'));
  t.after(() => rm(directory, { recursive: true }));
  const clock = { now: () => Date.now() };
  const certificates = await openLocalCertificates({ directory, domain: 'microvm.localhost', clock });
  const { certificate, privateKey } = certificates.current();
  const [near, far] = duplexPair();
  const socket = new tls.TLSSocket(near, {
    isServer: true,
    secureContext: tls.createSecureContext({ cert: certificate, key: privateKey }),
  });
  const client = tls.connect({ socket: far, rejectUnauthorized: false });
  t.after(() => client.destroy());
  const time = { ms: 0 };
  const connection = new ServerConnection(socket, {
    limits: { ...limits, ...replaced },
    now: () => time.ms,
    serve,
    onRefuse: () => undefined,
    upgrade: () => assert.fail('nothing is upgraded'),
    onError: (error) => client.destroy(error instanceof Error ? error : new Error(String(error))),
  });
  /** Looks at the connection every second, as the endpoint does. */
  const wait = (seconds: number): void => {
    for (let second = 0; second < seconds; second += 1) {
      time.ms += 1000;
      connection.checkTime();
    }
  };
  return { client, socket, wait };
}

/** A client that has sent a request, and reads nothing of the answer unless the test does. */
async function answered(t: TestContext) {
  const served = Promise.withResolvers<void>();
  const connection = await connected(t, (exchange) => {
    exchange.refuse({ status: 200, body, error: 'NONE' });
    served.resolve();
  });
  connection.client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  await served.promise;
  return connection;
}

test('a client that takes nothing of the last answer has the time of an idle connection', async (t) => {
  const { socket, wait } = await answered(t);
  wait(70);
  assert.ok(!socket.destroyed);
  wait(10);
  assert.ok(socket.destroyed);
});

test('a client that takes the last answer late has time to take all of it', async (t) => {
  const { client, wait } = await answered(t);
  wait(70);
  const got = await buffer(client);
  assert.ok(got.toString('latin1').endsWith(body));
});

test('the time of a request begins with the request, however old its connection is', async (t) => {
  const requests: Exchange[] = [];
  const { client, wait } = await connected(
    t,
    (exchange) => {
      requests.push(exchange);
      client.emit('served');
    },
    { totalTimeMs: 10_000 },
  );
  const ask = async (): Promise<Exchange | undefined> => {
    const served = once(client, 'served');
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await served;
    return requests.pop();
  };
  for (let round = 0; round < 3; round += 1) {
    const request = await ask();
    wait(8);
    request?.refuse({ status: 200, body: '', error: 'NONE' });
    assert.match(String((await once(client, 'data'))[0]), /^HTTP\/1\.1 200 /);
  }
  const late = await ask();
  wait(11);
  assert.match(String((await once(client, 'data'))[0]), /^HTTP\/1\.1 504 /);
  assert.ok(late?.left.happened);
});
