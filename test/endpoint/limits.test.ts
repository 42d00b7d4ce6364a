import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { until } from '../support/until.ts';
import { ask, askH2, h2Headers, h2Session, lookupLoopback, rawConnection, startEndpoint } from './fixture.ts';

/** Answers nothing until told to. */
function patient(): { server: http.Server; release: () => void; arrived: (count: number) => Promise<void> } {
  const waiting: http.ServerResponse[] = [];
  const server = http.createServer((_request, response) => {
    waiting.push(response);
    server.emit('arrival');
  });
  return {
    server,
    release: () => {
      for (const response of waiting.splice(0)) response.end('done');
    },
    async arrived(count) {
      while (waiting.length < count) await once(server, 'arrival');
    },
  };
}

test('more requests at a time than a microVM may have are refused with 429', async (t) => {
  const fixture = await startEndpoint(t, {
    limits: {
      perMicrovm: () => ({ connections: 100, concurrent: 8, requestsPerSecond: Number.POSITIVE_INFINITY }),
    },
  });
  const app = patient();
  await fixture.expose(8080, app.server);
  const first = Array.from({ length: 8 }, () => ask(fixture));
  await app.arrived(8);
  const session = await h2Session(t, fixture);
  for (const answer of [await ask(fixture), await askH2(session, h2Headers(fixture))]) {
    assert.deepEqual(
      [answer.status, answer.body, answer.headers['retry-after']],
      [429, 'Rate limit exceeded', '1'],
    );
  }
  app.release();
  for (const answer of await Promise.all(first)) assert.equal(answer.status, 200);
  const later = ask(fixture);
  await app.arrived(1);
  app.release();
  // Also shows that a refused request was not counted.
  assert.ok([200, 429].includes((await later).status));
});

test('a token has a limit of its own', async (t) => {
  const fixture = await startEndpoint(t, {
    limits: { perToken: { connections: 10, concurrent: 1, requestsPerSecond: Number.POSITIVE_INFINITY } },
  });
  const app = patient();
  await fixture.expose(8080, app.server);
  const other = await fixture.tokens.mint(fixture.vm.microvmId, [{ allPorts: {} }], 5);
  const first = ask(fixture);
  await app.arrived(1);
  assert.equal((await ask(fixture)).status, 429);
  const second = ask(fixture, { headers: { 'x-aws-proxy-auth': other } });
  await app.arrived(2);
  app.release();
  assert.deepEqual([(await first).status, (await second).status], [200, 200]);
});

test('heads beyond the limits are refused', async (t) => {
  const fixture = await startEndpoint(t, { limits: { headerBytes: 16_384, headerCount: 50 } });
  await fixture.expose(
    8080,
    http.createServer((_request, response) => response.end('ok')),
  );
  const lines = (count: number): Record<string, string> =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`x-${index}`, '1']));
  assert.equal((await ask(fixture, { headers: lines(40) })).status, 200);
  assert.equal((await ask(fixture, { headers: lines(60) })).status, 431);
  assert.equal((await ask(fixture, { headers: { 'x-large': 'x'.repeat(20_000) } })).status, 431);
  const session = await h2Session(t, fixture);
  assert.equal((await askH2(session, h2Headers(fixture, lines(60)))).status, 431);
  const large = await askH2(session, h2Headers(fixture, { 'x-large': 'x'.repeat(16_200) }));
  assert.deepEqual([large.status, large.body], [431, 'Request header fields too large']);
  assert.equal((await askH2(session, h2Headers(fixture))).status, 200);
});

test('a client that sends its head too slowly is cut off', async (t) => {
  const fixture = await startEndpoint(t, { limits: { headersTimeoutMs: 300 } });
  const slow = await rawConnection(fixture);
  slow.write(`GET / HTTP/1.1\r\nHost: ${fixture.host}\r\n`);
  const dripping = setInterval(() => slow.write('X-Drip: 1\r\n'), 50);
  t.after(() => clearInterval(dripping));
  const [bytes] = await once(slow, 'data');
  assert.match(String(bytes), /^HTTP\/1\.1 408 /);
  await once(slow, 'end');
  slow.destroy();
});

test('a handshake that does not come is given up', async (t) => {
  const fixture = await startEndpoint(t, { limits: { handshakeTimeoutMs: 200 } });
  const silent = net.connect(fixture.port, '127.0.0.1');
  silent.on('error', () => undefined).resume();
  await once(silent, 'close');
});

test('silence in the middle of a stream ends it after the idle time', async (t) => {
  const fixture = await startEndpoint(t, { limits: { idleTimeoutMs: 1000 } });
  await fixture.expose(8080, net.createServer());
  const session = await h2Session(t, fixture);
  const stream = session.request(h2Headers(fixture));
  stream.on('error', () => undefined);
  const socket = await rawConnection(fixture);
  socket.write(`GET / HTTP/1.1\r\nHost: ${fixture.host}\r\nX-Aws-Proxy-Auth: ${fixture.token}\r\n\r\n`);
  socket.resume();
  await Promise.all([once(stream, 'close'), once(socket, 'end')]);
  socket.destroy();
});

test('an HTTP/2 connection without a stream is given up, one with a silent stream is not', async (t) => {
  const fixture = await startEndpoint(t, { limits: { keepAliveTimeoutMs: 300 } });
  const app = patient();
  await fixture.expose(8080, app.server);
  const busy = await h2Session(t, fixture);
  const answer = askH2(busy, h2Headers(fixture));
  await app.arrived(1);
  const idle = await h2Session(t, fixture);
  const [code] = await once(idle, 'goaway');
  assert.equal(code, http2.constants.NGHTTP2_NO_ERROR);
  assert.equal(busy.closed, false);
  app.release();
  assert.equal((await answer).status, 200);
  await once(busy, 'close');
  await until('the connections are gone', () => fixture.endpoint.status().connections === 0);
});

test('connections beyond the limit are not accepted', async (t) => {
  const fixture = await startEndpoint(t, { limits: { connections: 2 } });
  const open = [await rawConnection(fixture), await rawConnection(fixture)];
  const third = net.connect(fixture.port, '127.0.0.1');
  third.on('error', () => undefined).resume();
  await once(third, 'close');
  for (const socket of open) socket.destroy();
});

test('an upload is not held back by the flow-control window', async (t) => {
  const fixture = await startEndpoint(t);
  const session = await h2Session(t, fixture);
  const { initialWindowSize = 0 } = session.remoteSettings;
  assert.ok(initialWindowSize >= 16 * 1024 * 1024);
  // What the server sent before its answer to the ping has been read by then.
  await new Promise((resolve) => session.ping(resolve));
  assert.ok((session.state.remoteWindowSize ?? 0) >= 16 * 1024 * 1024);
});

test('a client that resets streams as fast as it can harms nobody else', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(
    8080,
    http.createServer((_request, response) => response.end('ok')),
  );
  const attacker = await h2Session(t, fixture);
  const other = await h2Session(t, fixture);
  for (let round = 0; round < 3000 && !attacker.destroyed; round += 1) {
    const stream = attacker.request(h2Headers(fixture));
    stream.on('error', () => undefined);
    stream.close(http2.constants.NGHTTP2_CANCEL);
    if (round % 100 === 0) await new Promise(setImmediate);
  }
  assert.equal((await askH2(other, h2Headers(fixture))).status, 200);
  attacker.destroy();
  assert.equal(fixture.endpoint.status().waiting, 0);
});

test('what is held to a bandwidth passes whole, in every protocol', async (t) => {
  const fixture = await startEndpoint(t, { limits: { bytesPerSecondPerGib: 200e6 } });
  const server = http.createServer((request, response) => request.pipe(response));
  const sockets = new WebSocketServer({ server });
  t.after(() => sockets.close());
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
  await fixture.expose(8080, server);
  const body = Buffer.alloc(3_000_000, 'dormouse');
  const session = await h2Session(t, fixture);
  const socket = new WebSocket(`wss://${fixture.host}:${fixture.port}/`, {
    ca: fixture.ca,
    lookup: lookupLoopback,
    headers: { host: fixture.host, 'x-aws-proxy-auth': fixture.token },
  });
  await once(socket, 'open');
  const echoed = once(socket, 'message');
  socket.send(body);
  const answers = await Promise.all([
    ask(fixture, { method: 'POST', body }),
    askH2(session, h2Headers(fixture, { ':method': 'POST' }), body),
  ]);
  for (const answer of answers) assert.ok(answer.body === body.toString());
  const [message] = await echoed;
  assert.ok(body.equals(message));
  socket.close(1000);
  await once(socket, 'close');
});
