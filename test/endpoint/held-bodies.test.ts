/* What clients have begun to send, or wait to send, while their microVM sleeps. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { type TestContext, test } from 'node:test';
import { until } from '../support/until.ts';
import { ask, askH2, type Fixture, h2Headers, h2Session, rawConnection, startEndpoint } from './fixture.ts';

async function startAsleep(t: TestContext, awake: Promise<void>): Promise<Fixture> {
  return await startEndpoint(t, {
    async connect(_port, _signal, dial) {
      await awake;
      return await dial();
    },
  });
}

for (const [version, mostReceived] of [
  ['1.1', 1024 * 1024],
  // The window that the client was granted before anybody knew of its request.
  ['2', 17 * 1024 * 1024],
] as const) {
  test(`an upload to a sleeping microVM waits with its client, and then passes whole (HTTP/${version})`, async (t) => {
    const awake = Promise.withResolvers<void>();
    const fixture = await startAsleep(t, awake.promise);
    await fixture.expose(
      8080,
      http.createServer(async (request, response) => {
        const received = createHash('sha256');
        for await (const chunk of request) received.update(chunk);
        response.end(received.digest('hex'));
      }),
    );
    const body = randomBytes(48 * 1024 * 1024);
    const request = { method: 'POST', body };
    const answer =
      version === '1.1'
        ? ask(fixture, request)
        : askH2(await h2Session(t, fixture), h2Headers(fixture, { ':method': 'POST' }), body);
    await until('it waits', () => fixture.endpoint.status().waiting > 0);
    for (let turn = 0; turn < 500; turn += 1) await new Promise(setImmediate);
    assert.ok(fixture.endpoint.status().receivedBytes <= mostReceived);
    awake.resolve();
    const { status, body: digest } = await answer;
    assert.deepEqual([status, digest], [200, createHash('sha256').update(body).digest('hex')]);
  });
}

test('a client that waits for 100 (Continue) gets it from the application, once that is awake', async (t) => {
  const awake = Promise.withResolvers<void>();
  const fixture = await startAsleep(t, awake.promise);
  const server = http.createServer();
  let asked = 0;
  server.on('checkContinue', (request: http.IncomingMessage, response: http.ServerResponse) => {
    asked += 1;
    response.writeContinue();
    request.on('data', (chunk) => response.end(`got ${chunk}`));
  });
  await fixture.expose(8080, server);
  const session = await h2Session(t, fixture);
  const socket = await rawConnection(fixture);
  socket.write(
    `POST / HTTP/1.1\r\nHost: ${fixture.host}\r\nX-Aws-Proxy-Auth: ${fixture.token}\r\n` +
      'Expect: 100-continue\r\nContent-Length: 4\r\n\r\n',
  );
  const stream = session.request(h2Headers(fixture, { ':method': 'POST', expect: '100-continue' }));
  const told = [once(socket, 'data'), once(stream, 'continue')];
  let early = true;
  for (const one of told) void one.then(() => assert.ok(!early, 'nobody is told to go on before'));
  await until('both wait', () => fixture.endpoint.status().waiting === told.length);
  early = false;
  awake.resolve();
  const [[line]] = (await Promise.all(told)) as [[Buffer], unknown[]];
  assert.match(String(line), /^HTTP\/1\.1 100 /);
  assert.equal(asked, told.length);
  socket.write('over');
  stream.end('over');
  const [answer] = await once(socket, 'data');
  assert.match(String(answer), /^HTTP\/1\.1 200 .*got over/s);
  let text = '';
  for await (const chunk of stream) text += chunk;
  assert.equal(text, 'got over');
  socket.destroy();
});
