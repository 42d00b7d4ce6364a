import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import {
  ask,
  type Fixture,
  h2Headers,
  h2Session,
  lookupLoopback,
  rawConnection,
  rawExchange,
  startEndpoint,
} from './fixture.ts';

interface Seen {
  protocols: string[] | undefined;
  headers: http.IncomingHttpHeaders | undefined;
}

/** A WebSocket echo that takes the sub-protocol `chat` when it is offered. */
async function exposeEcho(t: TestContext, fixture: Fixture, port = 8080): Promise<Seen> {
  const seen: Seen = { protocols: undefined, headers: undefined };
  const server = http.createServer();
  const sockets = new WebSocketServer({
    server,
    handleProtocols(protocols) {
      seen.protocols = [...protocols];
      return protocols.has('chat') ? 'chat' : false;
    },
  });
  t.after(() => sockets.close());
  sockets.on('connection', (socket, request) => {
    seen.headers = request.headers;
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  await fixture.expose(port, server);
  return seen;
}

function open(fixture: Fixture, protocols: string[], headers: Record<string, string> = {}): WebSocket {
  return new WebSocket(`wss://${fixture.host}:${fixture.port}/socket`, protocols, {
    ca: fixture.ca,
    lookup: lookupLoopback,
    headers: { host: fixture.host, ...headers },
  });
}

/** What became of a handshake: the sub-protocol agreed on, or the status of the refusal. */
async function outcome(socket: WebSocket): Promise<string | number> {
  const { promise, resolve, reject } = Promise.withResolvers<string | number>();
  socket.once('open', () => resolve(socket.protocol));
  socket.once('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
  socket.once('error', reject);
  const result = await promise;
  socket.terminate();
  return result;
}

test('sub-protocols carry token and port, and are not shown to the application', async (t) => {
  const fixture = await startEndpoint(t);
  const seen = await exposeEcho(t, fixture);
  const other = await exposeEcho(t, fixture, 9000);
  const { token } = fixture;
  const only8080 = await fixture.tokens.mint(fixture.vm.microvmId, [{ port: 8080 }], 5);
  const marker = 'lambda-microvms';
  const auth = (value: string): string => `lambda-microvms.authentication.${value}`;
  const cases: ReadonlyArray<{
    name: string;
    protocols: string[];
    headers?: Record<string, string>;
    expect: string | number;
    application?: string[] | undefined;
    seen?: Seen;
  }> = [
    { name: 'marker and token', protocols: [marker, auth(token)], expect: marker },
    {
      name: 'and one for the application',
      protocols: [marker, auth(token), 'chat'],
      expect: 'chat',
      application: ['chat'],
    },
    {
      name: 'application picks none',
      protocols: [marker, auth(token), 'other'],
      expect: marker,
      application: ['other'],
    },
    {
      name: 'order of the application kept',
      protocols: ['z', marker, 'chat', auth(token), 'a'],
      expect: 'chat',
      application: ['z', 'chat', 'a'],
    },
    {
      name: 'port',
      protocols: [marker, auth(token), 'lambda-microvms.port.9000', 'chat'],
      expect: 'chat',
      application: ['chat'],
      seen: other,
    },
    {
      name: 'header port wins',
      protocols: [marker, auth(token), 'lambda-microvms.port.1', 'chat'],
      headers: { 'x-aws-proxy-port': '9000' },
      expect: 'chat',
      application: ['chat'],
      seen: other,
    },
    {
      name: 'header token, no marker',
      protocols: ['chat'],
      headers: { 'x-aws-proxy-auth': token },
      expect: 'chat',
      application: ['chat'],
    },
    {
      name: 'header token, no sub-protocol',
      protocols: [],
      headers: { 'x-aws-proxy-auth': token },
      expect: '',
    },
    { name: 'no marker', protocols: [auth(token)], expect: 403 },
    { name: 'no token', protocols: [marker], expect: 403 },
    { name: 'bad token', protocols: [marker, auth(`${token}x`)], expect: 403 },
    {
      name: 'port not granted',
      protocols: [marker, auth(only8080), 'lambda-microvms.port.9000'],
      expect: 403,
    },
    { name: 'malformed port', protocols: [marker, auth(token), 'lambda-microvms.port.x'], expect: 400 },
    { name: 'nothing listens', protocols: [marker, auth(token), 'lambda-microvms.port.81'], expect: 502 },
  ];
  for (const { name, protocols, headers, expect, application, seen: where = seen } of cases) {
    await t.test(name, async () => {
      where.protocols = undefined;
      assert.equal(await outcome(open(fixture, protocols, headers)), expect);
      assert.deepEqual(where.protocols, application);
    });
  }
});

test('messages pass in both directions, of any size', async (t) => {
  const fixture = await startEndpoint(t);
  const seen = await exposeEcho(t, fixture);
  const socket = open(fixture, [], { 'x-aws-proxy-auth': fixture.token });
  await once(socket, 'open');
  for (const size of [0, 1, 125, 126, 65_535, 65_536, 3_000_000]) {
    const sent = Buffer.alloc(size, size % 251);
    socket.send(sent);
    const [received] = await once(socket, 'message');
    assert.ok(sent.equals(received));
  }
  assert.equal(seen.headers?.host, fixture.host);
  assert.equal(seen.headers?.['x-aws-proxy-auth'], undefined);
  assert.match(String(seen.headers?.['x-amzn-requestid']), /^[0-9a-f-]{36}$/);
  socket.close(4321, 'done');
  const [code, reason] = await once(socket, 'close');
  assert.deepEqual([code, String(reason)], [4321, 'done']);
});

test('a refusal by the application reaches the client', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(
    8080,
    http.createServer((_request, response) => response.writeHead(401, { 'x-why': 'because' }).end('no')),
  );
  const bytes = await rawExchange(
    fixture,
    `GET / HTTP/1.1\r\nHost: ${fixture.host}\r\nX-Aws-Proxy-Auth: ${fixture.token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  assert.match(bytes, /^HTTP\/1\.1 401 Unauthorized\r\n/);
  assert.match(bytes, /\r\nx-why: because\r\n/);
  assert.match(bytes, /\r\n2\r\nno\r\n0\r\n\r\n$/);
});

test('an upgrade that is not a WebSocket handshake is refused with 400', async (t) => {
  const fixture = await startEndpoint(t);
  await exposeEcho(t, fixture);
  for (const headers of [
    { connection: 'upgrade', upgrade: 'h2c' },
    { connection: 'upgrade', upgrade: 'websocket' },
    {
      connection: 'upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '8',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    },
    {
      connection: 'upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'short',
    },
  ]) {
    const answer = await ask(fixture, { headers });
    assert.deepEqual([answer.status, answer.body], [400, 'Malformed upgrade request']);
  }
});

test('an application that does not prove it speaks WebSocket is not let through', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(
    8080,
    net.createServer((socket) => {
      socket.once('data', () =>
        socket.end(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: wrong\r\n\r\n',
        ),
      );
    }),
  );
  assert.equal(await outcome(open(fixture, [], { 'x-aws-proxy-auth': fixture.token })), 502);
});

test('WebSocket over HTTP/2 becomes an upgrade for the application', async (t) => {
  const fixture = await startEndpoint(t);
  const seen = await exposeEcho(t, fixture);
  const session = await h2Session(t, fixture);
  assert.equal(session.remoteSettings.enableConnectProtocol, true);
  const stream = session.request(
    h2Headers(fixture, {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'https',
      'sec-websocket-version': '13',
      'sec-websocket-protocol': 'lambda-microvms, chat',
    }),
  );
  const [headers] = await once(stream, 'response');
  assert.equal(headers[':status'], 200);
  assert.equal(headers['sec-websocket-protocol'], 'chat');
  assert.equal(headers['sec-websocket-accept'], undefined);
  assert.deepEqual(seen.protocols, ['chat']);
  // A masked text frame `hi`; the echo comes back without a mask.
  stream.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]));
  const [frame] = await once(stream, 'data');
  assert.deepEqual([...frame], [0x81, 0x02, 0x68, 0x69]);
  stream.close();
});

test('the end of either side ends the other', async (t) => {
  const fixture = await startEndpoint(t);
  await exposeEcho(t, fixture);
  const socket = open(fixture, [], { 'x-aws-proxy-auth': fixture.token });
  await once(socket, 'open');
  fixture.connections[0]?.destroy();
  const [code] = await once(socket, 'close');
  assert.equal(code, 1006);

  const second = open(fixture, [], { 'x-aws-proxy-auth': fixture.token });
  await once(second, 'open');
  const inside = fixture.connections[1];
  assert.ok(inside);
  second.terminate();
  await once(inside, 'close');
});

test('a tunnel carries raw TCP, half-closed too', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(
    6379,
    net.createServer({ allowHalfOpen: true }, (socket) => {
      const chunks: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      socket.once('end', () => socket.end(`got ${Buffer.concat(chunks).toString()}`));
    }),
  );
  const socket = await rawConnection(fixture);
  socket.write(
    `GET /dormouse/v1/tunnel?port=6379 HTTP/1.1\r\nHost: ${fixture.host}\r\nX-Aws-Proxy-Auth: ${fixture.token}\r\n` +
      'Connection: Upgrade\r\nUpgrade: dormouse-tcp\r\n\r\nPI',
  );
  let received = '';
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString();
  });
  await once(socket, 'data');
  assert.match(received, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  socket.end('NG');
  await once(socket, 'end');
  assert.match(received, /\r\n\r\ngot PING$/);
});

test('a tunnel for datagrams keeps their boundaries, and ends with the client', async (t) => {
  const fixture = await startEndpoint(t);
  const application = createSocket('udp4');
  t.after(() => application.close());
  application.on('message', (datagram, from) => application.send(datagram, from.port, from.address));
  application.bind(0, '127.0.0.1');
  await once(application, 'listening');
  fixture.exposePort(8125, application.address().port);
  const socket = await rawConnection(fixture);
  socket.write(
    `GET /dormouse/v1/tunnel?port=8125 HTTP/1.1\r\nHost: ${fixture.host}\r\nX-Aws-Proxy-Auth: ${fixture.token}\r\n` +
      'Connection: Upgrade\r\nUpgrade: dormouse-udp\r\n\r\n\0\x03one\0\0\0\x04',
  );
  socket.write('four');
  let received = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
  });
  const expected = '\r\n\r\n\0\x03one\0\0\0\x04four';
  while (!received.toString().endsWith(expected)) await once(socket, 'data');
  assert.match(received.toString(), /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  socket.write('\xff\xff', 'latin1');
  await once(socket, 'end');
});

test('a tunnel needs a token for its port', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(6379, net.createServer());
  const only8080 = await fixture.tokens.mint(fixture.vm.microvmId, [{ port: 8080 }], 5);
  const upgrade = { connection: 'upgrade', upgrade: 'dormouse-tcp' };
  const tunnel = async (path: string, token = fixture.token): Promise<number> =>
    (await ask(fixture, { path, headers: { ...upgrade, 'x-aws-proxy-auth': token } })).status;
  assert.equal(await tunnel('/dormouse/v1/tunnel?port=6379', only8080), 403);
  assert.equal(await tunnel('/dormouse/v1/tunnel?port=6379', 'junk'), 403);
  assert.equal(await tunnel('/dormouse/v1/tunnel?port=0'), 400);
  assert.equal(await tunnel('/dormouse/v1/tunnel'), 400);
  assert.equal(await tunnel('/elsewhere?port=6379'), 400);
  assert.equal(await tunnel('/dormouse/v1/tunnel?port=6380'), 502);
});
