import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { duplexPair } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { openLocalCertificates } from '../certificates.ts';
import { ServerConnection } from './server-connection.ts';

const limits = {
  headerBytes: 65_536,
  headersTimeoutMs: 15_000,
  keepAliveTimeoutMs: 75_000,
  idleTimeoutMs: 1e9,
};
const body = 'x'.repeat(4 * 1024 * 1024);

/** A client that has sent a request, and reads nothing of the answer unless the test does. */
async function answered(t: TestContext) {
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
  const served = Promise.withResolvers<void>();
  const connection = new ServerConnection(socket, {
    limits,
    now: () => time.ms,
    serve(exchange) {
      exchange.refuse(200, ['Content-Length', String(body.length)], body);
      served.resolve();
    },
    upgrade: () => assert.fail('nothing is upgraded'),
    onError: served.reject,
  });
  client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  await served.promise;
  /** Looks at the connection every second, as the endpoint does. */
  const wait = (seconds: number): void => {
    for (let second = 0; second < seconds; second += 1) {
      time.ms += 1000;
      connection.checkTime();
    }
  };
  return { client, socket, wait };
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
