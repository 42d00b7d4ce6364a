import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import {
  type Fixture,
  h2Headers,
  h2Session,
  lookupLoopback,
  rawConnection,
  startEndpoint,
} from './fixture.ts';
import { ending, nothingLeft, openTunnel } from './how-it-ends.ts';

/** Ways in which an application tells how long its answer is; each sends 6 bytes and then nothing. */
const framings: ReadonlyArray<readonly [string, () => net.Server, Record<string, string>]> = [
  ['a known length', () => saying('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegun!'), {}],
  ['chunks', () => saying('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nbegun!\r\n'), {}],
  [
    'the middle of a chunk',
    () => saying('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nbegun!'),
    {},
  ],
  ['the end of the connection', () => saying('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbegun!'), {}],
  ['HTTP/2', () => sayingH2({}), { 'x-aws-proxy-force-h2': 'true' }],
  ['HTTP/2 and a length', () => sayingH2({ 'content-length': '1000' }), { 'x-aws-proxy-force-h2': 'true' }],
];

function saying(bytes: string): net.Server {
  return net.createServer((socket) => socket.once('data', () => socket.write(bytes)));
}

function sayingH2(headers: http2.OutgoingHttpHeaders): http2.Http2Server {
  const server = http2.createServer();
  server.on('stream', (stream: http2.ServerHttp2Stream) => {
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200, ...headers });
    stream.write('begun!');
  });
  return server;
}

/** The microVM goes away under its connections: what its VMM being killed looks like. */
function sever(fixture: Fixture): void {
  for (const connection of fixture.connections)
    connection.destroy(new Error('the channel to the guest closed'));
}

for (const [name, server, headers] of framings) {
  test(`a response ended by ${name} does not look complete when the microVM goes away`, async (t) => {
    const fixture = await startEndpoint(t);
    await fixture.expose(8080, server());

    const socket = await rawConnection(fixture);
    const fields = Object.entries(headers).map(([field, value]) => `${field}: ${value}\r\n`);
    socket.write(
      `GET / HTTP/1.1\r\nHost: ${fixture.host}\r\nX-Aws-Proxy-Auth: ${fixture.token}\r\n${fields.join('')}\r\n`,
    );
    let received = '';
    while (!received.includes('begun!')) received += String((await once(socket, 'data'))[0]);
    sever(fixture);
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
    });
    await Promise.race([once(socket, 'end'), once(socket, 'close')]);
    assert.doesNotMatch(received, /\r\n0\r\n/, 'the last chunk was not said to be the last');
    socket.destroy();

    const stream = (await h2Session(t, fixture)).request(h2Headers(fixture, headers));
    await once(stream, 'data');
    sever(fixture);
    assert.equal(await ending(stream), 'broken');
    assert.notEqual(stream.rstCode, http2.constants.NGHTTP2_NO_ERROR);
    await nothingLeft(fixture);
  });
}

test('a response to a client of HTTP/1.0, which only the connection delimits, ends with a reset', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(8080, saying('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nbegun!\r\n'));
  const socket = await rawConnection(fixture);
  socket.write(`GET / HTTP/1.0\r\nHost: ${fixture.host}\r\nX-Aws-Proxy-Auth: ${fixture.token}\r\n\r\n`);
  let received = '';
  while (!received.includes('begun!')) received += String((await once(socket, 'data'))[0]);
  const ended = ending(socket);
  sever(fixture);
  assert.equal(await ended, 'broken');
});

test('an upload under way ends with the microVM', async (t) => {
  const fixture = await startEndpoint(t);
  const arrived = Promise.withResolvers<void>();
  const server = http.createServer((request) => request.once('data', () => arrived.resolve()));
  await fixture.expose(8080, server);
  const stream = (await h2Session(t, fixture)).request(h2Headers(fixture, { ':method': 'POST' }));
  stream.write('part');
  await arrived.promise;
  sever(fixture);
  const [head] = await once(stream, 'response');
  assert.deepEqual([head[':status'], head['x-aws-proxy-error']], [502, 'BAD_GATEWAY']);
  stream.on('error', () => undefined);

  const socket = await rawConnection(fixture);
  const again = once(server, 'request');
  socket.write(
    `POST / HTTP/1.1\r\nHost: ${fixture.host}\r\nX-Aws-Proxy-Auth: ${fixture.token}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n`,
  );
  await again;
  sever(fixture);
  assert.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 502 [\s\S]*connection: close/i);
  await once(socket, 'end');
  socket.destroy();
  await nothingLeft(fixture);
});

test('a WebSocket ends without a farewell, over both versions', async (t) => {
  const fixture = await startEndpoint(t);
  const server = http.createServer();
  const sockets = new WebSocketServer({ server });
  t.after(() => sockets.close());
  await fixture.expose(8080, server);
  const socket = new WebSocket(`wss://${fixture.host}:${fixture.port}/`, {
    ca: fixture.ca,
    lookup: lookupLoopback,
    headers: { host: fixture.host, 'x-aws-proxy-auth': fixture.token },
  });
  await once(socket, 'open');
  const stream = (await h2Session(t, fixture)).request(
    h2Headers(fixture, {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'https',
      'sec-websocket-version': '13',
    }),
  );
  await once(stream, 'response');
  sever(fixture);
  const [[code]] = await Promise.all([once(socket, 'close'), once(stream.resume(), 'close')]);
  assert.deepEqual([code, stream.rstCode], [1006, http2.constants.NGHTTP2_CANCEL]);
  await nothingLeft(fixture);
});

/** Bytes without any framing: their only way to tell an end from a failure is the connection's. */
test('a tunnel is reset, not closed, when the microVM goes away', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(6379, net.createServer());
  const ended = ending(await openTunnel(fixture));
  sever(fixture);
  assert.equal(await ended, 'broken');
});

test('an application that resets its connection resets the tunnel; one that closes it closes the tunnel', async (t: TestContext) => {
  const fixture = await startEndpoint(t);
  const accepted: net.Socket[] = [];
  const server = net.createServer((socket) => accepted.push(socket));
  await fixture.expose(6379, server);
  const first = await openTunnel(fixture);
  accepted[0]?.resetAndDestroy();
  assert.equal(await ending(first), 'broken');
  const second = await openTunnel(fixture);
  accepted[1]?.end('farewell');
  assert.equal(String((await once(second, 'data'))[0]), 'farewell');
  assert.equal(await ending(second), 'complete');
  second.end();
});
