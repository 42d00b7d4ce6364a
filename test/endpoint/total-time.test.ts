import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import {
  type Answer,
  ask,
  askH2,
  h2Headers,
  h2Session,
  lookupLoopback,
  rawConnection,
  startEndpoint,
} from './fixture.ts';
import { ending, nothingLeft, openTunnel } from './how-it-ends.ts';

const totalTimeMs = 400;
const limits = { totalTimeMs };

/** Calls back again and again, as one who keeps a connection busy does. */
function keepBusy(t: TestContext, step: () => void): void {
  const timer = setInterval(step, 20);
  t.after(() => clearInterval(timer));
}

/** A machine that stands still for a moment may make even a short request late. */
async function untilServed(request: () => Promise<Answer>): Promise<void> {
  let left = 5;
  while ((await request()).status !== 200) {
    left -= 1;
    assert.ok(left > 0);
  }
}

test('a request that is not answered in time is answered with 504', async (t) => {
  const fixture = await startEndpoint(t, { limits });
  const ids: unknown[] = [];
  const server = http.createServer((request) => ids.push(request.headers['x-amzn-requestid']));
  await fixture.expose(8080, server);
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const session = await h2Session(t, fixture);
  const answers = await Promise.all([ask(fixture, { agent }), askH2(session, h2Headers(fixture))]);
  for (const { status, body, headers } of answers) {
    assert.deepEqual([status, body, headers['x-aws-proxy-error']], [504, 'Request took too long', 'TIMEOUT']);
    assert.ok(ids.includes(headers['x-amzn-requestid']), 'the application knows it by the same id');
  }
  await nothingLeft(fixture);
  // Neither connection has come to harm.
  server.on('request', (_request, response) => response.end('ok'));
  await untilServed(() => ask(fixture, { agent }));
  await untilServed(() => askH2(session, h2Headers(fixture)));
  assert.equal(fixture.endpoint.status().connections, 2);
});

test('an upload counts as long as it comes', async (t) => {
  const fixture = await startEndpoint(t, { limits });
  await fixture.expose(
    8080,
    http.createServer((request) => request.resume()),
  );
  const socket = await rawConnection(fixture);
  socket.write(
    `POST / HTTP/1.1\r\nHost: ${fixture.host}\r\nX-Aws-Proxy-Auth: ${fixture.token}\r\nTransfer-Encoding: chunked\r\n\r\n`,
  );
  const stream = (await h2Session(t, fixture)).request(h2Headers(fixture, { ':method': 'POST' }));
  stream.on('error', () => undefined);
  keepBusy(t, () => {
    if (socket.writable) socket.write('4\r\npart\r\n');
    if (stream.writable) stream.write('part');
  });
  const [[bytes], [head]] = await Promise.all([once(socket, 'data'), once(stream, 'response')]);
  assert.match(String(bytes), /^HTTP\/1\.1 504 [\s\S]*connection: close/i);
  assert.equal(head[':status'], 504);
  await nothingLeft(fixture);
  socket.destroy();
});

for (const version of ['1.1', '1.0']) {
  test(`an answer that takes too long is broken off (HTTP/${version})`, async (t) => {
    const fixture = await startEndpoint(t, { limits });
    await fixture.expose(8080, endless(t));
    const socket = await rawConnection(fixture);
    socket.write(
      `GET / HTTP/${version}\r\nHost: ${fixture.host}\r\nX-Aws-Proxy-Auth: ${fixture.token}\r\n\r\n`,
    );
    let received = '';
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
    });
    // Of chunks the last one is missing; without them nothing but a reset tells.
    assert.equal(await ending(socket), version === '1.1' ? 'complete' : 'broken');
    assert.match(received, /^HTTP\/1\.1 200 [\s\S]*begun![\s\S]*more/);
    assert.doesNotMatch(received, /\r\n0\r\n/);
    socket.destroy();
    await nothingLeft(fixture);
  });
}

test('an answer that takes too long is broken off (HTTP/2)', async (t) => {
  const fixture = await startEndpoint(t, { limits });
  await fixture.expose(8080, endless(t));
  const session = await h2Session(t, fixture);
  const stream = session.request(h2Headers(fixture));
  const [head] = await once(stream, 'response');
  assert.equal(head[':status'], 200);
  const ended = ending(stream);
  assert.equal(await ended, 'broken');
  assert.equal(stream.rstCode, http2.constants.NGHTTP2_INTERNAL_ERROR);
  assert.equal(session.closed, false);
  await nothingLeft(fixture);
});

/** Answers at once and is never done. */
function endless(t: TestContext): http.Server {
  return http.createServer((_request, response) => {
    response.write('begun!');
    keepBusy(t, () => {
      if (response.writable) response.write('more');
    });
  });
}

test('a client that does not take its answer has no more time than others', async (t) => {
  const fixture = await startEndpoint(t, { limits });
  await fixture.expose(
    8080,
    http.createServer((_request, response) => response.end(Buffer.alloc(1_000_000))),
  );
  const session = http2.connect(`https://${fixture.host}:${fixture.port}`, {
    ca: fixture.ca,
    lookup: lookupLoopback,
    settings: { initialWindowSize: 0 },
  });
  session.on('error', () => undefined);
  t.after(() => session.destroy());
  const stream = session.request(h2Headers(fixture));
  assert.equal(await ending(stream), 'broken');
  assert.equal(stream.rstCode, http2.constants.NGHTTP2_INTERNAL_ERROR);
});

test('a request has the time that it waits for its microVM counted', async (t) => {
  const signals: AbortSignal[] = [];
  const fixture = await startEndpoint(t, {
    limits,
    connect: (_port, signal) => {
      signals.push(signal);
      return new Promise(() => undefined);
    },
  });
  const session = await h2Session(t, fixture);
  const requests = [
    ask(fixture),
    ask(fixture, { headers: { 'x-aws-proxy-force-h2': 'true' } }),
    askH2(session, h2Headers(fixture)),
    ask(fixture, {
      headers: { connection: 'upgrade', upgrade: 'dormouse-tcp' },
      path: '/dormouse/v1/tunnel?port=1',
    }),
  ];
  for (const { status } of await Promise.all(requests)) assert.equal(status, 504);
  assert.equal(signals.length, 4);
  for (const signal of signals) assert.ok(signal.aborted);
  assert.equal(fixture.endpoint.status().waiting, 0);
});

test('a WebSocket is broken off, however much passes, over both versions', async (t) => {
  const fixture = await startEndpoint(t, { limits });
  const server = http.createServer();
  const sockets = new WebSocketServer({ server });
  t.after(() => sockets.close());
  sockets.on('connection', (socket) => keepBusy(t, () => socket.send('news')));
  await fixture.expose(8080, server);
  const socket = new WebSocket(`wss://${fixture.host}:${fixture.port}/`, {
    ca: fixture.ca,
    lookup: lookupLoopback,
    headers: { host: fixture.host, 'x-aws-proxy-auth': fixture.token },
  });
  socket.on('error', () => undefined);
  await once(socket, 'message');
  const stream = (await h2Session(t, fixture)).request(
    h2Headers(fixture, {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'https',
      'sec-websocket-version': '13',
    }),
  );
  await once(stream, 'data');
  const [[code]] = await Promise.all([once(socket, 'close'), once(stream.resume(), 'close')]);
  assert.deepEqual([code, stream.rstCode], [1006, http2.constants.NGHTTP2_CANCEL]);
  await nothingLeft(fixture);
});

test('a tunnel is reset, however much passes', async (t) => {
  const fixture = await startEndpoint(t, { limits });
  const accepted = Promise.withResolvers<net.Socket>();
  await fixture.expose(
    6379,
    net.createServer((socket) => {
      keepBusy(t, () => {
        if (socket.writable) socket.write('news');
      });
      accepted.resolve(socket);
    }),
  );
  const socket = await openTunnel(fixture);
  const [error] = await Promise.all([once(await accepted.promise, 'error'), ending(socket)]);
  assert.match(String(error), /ECONNRESET/);
  await nothingLeft(fixture);
});
