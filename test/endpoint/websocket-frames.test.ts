import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { Duplex } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { webSocketAccept } from '../../src/endpoint/upgrade-client.ts';
import { closeFrame, webSocketFrame as frame, opcodes } from '../support/websocket-frames.ts';
import {
  type Fixture,
  h2Headers,
  h2Session,
  lookupLoopback,
  rawConnection,
  startEndpoint,
} from './fixture.ts';

const { continuation, text, binary, close, ping, pong } = opcodes;
const invalidUtf8 = Buffer.from([0xce, 0xba, 0xe1, 0xbd, 0xb9, 0xed, 0xa0, 0x80, 0x65]);
const closeCodes = [0, 999, 1000, 1001, 1002, 1003, 1005, 1006, 1007, 1011, 1015, 2999, 3000, 4999, 65_535];

/** What peers may say to each other, right or wrong. It is theirs to judge: the endpoint passes it on. */
const conversations: ReadonlyArray<readonly [string, readonly Buffer[]]> = [
  ...[0, 1, 125, 126, 127, 128, 65_535, 65_536, 70_000].map(
    (size) =>
      [
        `messages of ${size} bytes`,
        [
          frame({ opcode: text, payload: 'a'.repeat(size) }),
          frame({ opcode: binary, payload: randomBytes(size) }),
        ],
      ] as const,
  ),
  ['a binary message of 16 MiB', [frame({ opcode: binary, payload: randomBytes(16 * 1024 * 1024) })]],
  ['a length in two bytes that fits in one', [frame({ opcode: text, payload: 'hi', lengthBytes: 2 })]],
  ['a length in eight bytes that fits in one', [frame({ opcode: text, payload: 'hi', lengthBytes: 8 })]],
  ['a length with its highest bit set', [Buffer.from('82ffffffffffffffffff', 'hex'), randomBytes(100)]],
  ...[1, 2, 3, 4, 5, 6, 7].map(
    (reserved) => [`reserved bits ${reserved}`, [frame({ opcode: text, payload: 'x', reserved })]] as const,
  ),
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map(
    (opcode) => [`reserved opcode ${opcode}`, [frame({ opcode, payload: 'x' })]] as const,
  ),
  [
    'fragments with control frames in between',
    [
      frame({ opcode: text, fin: false, payload: 'one ' }),
      frame({ opcode: ping, payload: 'are you there' }),
      frame({ opcode: continuation, fin: false, payload: '' }),
      frame({ opcode: pong }),
      frame({ opcode: continuation, payload: 'two' }),
    ],
  ],
  ['a continuation of nothing', [frame({ opcode: continuation, payload: 'x' })]],
  [
    'a message inside of another',
    [frame({ opcode: text, fin: false, payload: 'a' }), frame({ opcode: text, payload: 'b' })],
  ],
  ['a ping of 125 bytes', [frame({ opcode: ping, payload: 'p'.repeat(125) })]],
  ['a ping that is too long', [frame({ opcode: ping, payload: 'p'.repeat(126) })]],
  ['a ping in fragments', [frame({ opcode: ping, fin: false }), frame({ opcode: continuation })]],
  ['invalid UTF-8', [frame({ opcode: text, payload: invalidUtf8 })]],
  [
    'a character torn apart by fragments',
    [
      frame({ opcode: text, fin: false, payload: Buffer.from([0xce]) }),
      frame({ opcode: continuation, payload: Buffer.from([0xbb]) }),
    ],
  ],
  ...closeCodes.map((code) => [`close code ${code}`, [closeFrame(code, 'why')]] as const),
  ['a close without a code', [frame({ opcode: close })]],
  ['a close with half a code', [frame({ opcode: close, payload: 'x' })]],
  ['a close whose reason is not UTF-8', [closeFrame(1000, invalidUtf8)]],
  ['a message after the close', [closeFrame(1000), frame({ opcode: text, payload: 'late' })]],
  ['a frame without a mask', [frame({ opcode: text, payload: 'bare', masked: false })]],
  ['a frame cut short', [frame({ opcode: text, payload: 'x'.repeat(200) }).subarray(0, 50)]],
  ['what is no frame at all', [randomBytes(5000)]],
];

/** Agrees to every handshake and sends every byte after it back. */
function rawEcho(): http.Server {
  const server = http.createServer();
  server.on('upgrade', (request, socket, head) => {
    const accept = webSocketAccept(String(request.headers['sec-websocket-key']));
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    socket.on('error', () => undefined);
    socket.write(head);
    socket.pipe(socket);
  });
  return server;
}

const handshake = {
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

/** @param early sent in the same breath as the handshake */
async function openOverH1(fixture: Fixture, early: Buffer = Buffer.alloc(0)): Promise<Duplex> {
  const socket = await rawConnection(fixture);
  const lines = Object.entries({ ...handshake, 'x-aws-proxy-auth': fixture.token });
  const head = `GET / HTTP/1.1\r\nHost: ${fixture.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`;
  const fields = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.write(Buffer.concat([Buffer.from(`${head}${fields}\r\n`), early]));
  let answer: Buffer = Buffer.alloc(0);
  while (!answer.includes('\r\n\r\n')) {
    answer = Buffer.concat([answer, (await once(socket, 'data'))[0] as Buffer]);
    socket.pause();
  }
  const end = answer.indexOf('\r\n\r\n') + 4;
  assert.match(answer.subarray(0, end).toString(), /^HTTP\/1\.1 101 /);
  if (answer.length > end) socket.unshift(answer.subarray(end));
  return socket;
}

async function openOverH2(t: TestContext, fixture: Fixture): Promise<() => Promise<Duplex>> {
  const session = await h2Session(t, fixture);
  return async () => {
    const stream = session.request(
      h2Headers(fixture, {
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':scheme': 'https',
        'sec-websocket-version': '13',
      }),
    );
    const [headers] = await once(stream, 'response');
    assert.equal(headers[':status'], 200);
    return stream;
  };
}

/** Sends all, in pieces of `size` bytes each, then ends; resolves with all that comes back. */
async function exchange(connection: Duplex, bytes: Buffer, size: number): Promise<Buffer> {
  const received = Array.fromAsync(connection as AsyncIterable<Buffer>);
  for (let at = 0; at < bytes.length; at += size) {
    if (!connection.write(bytes.subarray(at, at + size))) await once(connection, 'drain');
    // A packet of its own for small pieces.
    if (size < 1024) await new Promise(setImmediate);
  }
  connection.end();
  return Buffer.concat(await received);
}

for (const version of ['HTTP/1.1', 'HTTP/2']) {
  test(`frames pass bit by bit over ${version}, whatever they are`, async (t) => {
    const fixture = await startEndpoint(t);
    await fixture.expose(8080, rawEcho());
    const open = version === 'HTTP/2' ? await openOverH2(t, fixture) : async () => await openOverH1(fixture);
    for (const [name, frames] of conversations) {
      const bytes = Buffer.concat(frames);
      const sizes = bytes.length < 200 ? [bytes.length, 1] : bytes.length < 10_000 ? [997] : [64_000];
      for (const size of sizes) {
        const received = await exchange(await open(), bytes, size);
        assert.ok(bytes.equals(received), `${name}: ${received.length} of ${bytes.length} bytes came back`);
      }
    }
    assert.deepEqual(fixture.errors, []);
  });
}

test('frames that follow the handshake in the same breath are not lost', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(8080, rawEcho());
  const early = frame({ opcode: text, payload: 'early' });
  const late = frame({ opcode: text, payload: 'late' });
  const received = await exchange(await openOverH1(fixture, early), late, late.length);
  assert.ok(Buffer.concat([early, late]).equals(received));
});

/** What a server of other people makes of a client's mistakes: the code it closes with. */
const mistakes: ReadonlyArray<readonly [string, Buffer, number]> = [
  ['a frame without a mask', frame({ opcode: text, payload: 'x', masked: false }), 1002],
  ['a reserved bit', frame({ opcode: text, payload: 'x', reserved: 2 }), 1002],
  ['a reserved opcode', frame({ opcode: 3 }), 1002],
  ['a continuation of nothing', frame({ opcode: continuation, payload: 'x' }), 1002],
  ['a ping that is too long', frame({ opcode: ping, payload: 'p'.repeat(126) }), 1002],
  ['a ping in fragments', frame({ opcode: ping, fin: false }), 1002],
  ['invalid UTF-8', frame({ opcode: text, payload: invalidUtf8 }), 1007],
  ['a code that may not be sent', closeFrame(1005), 1002],
  ['a close with half a code', frame({ opcode: close, payload: 'x' }), 1002],
  ['a message that is too large', frame({ opcode: binary, payload: Buffer.alloc(100_001) }), 1009],
];

test("an application's judgement of bad frames reaches the client, over both versions", async (t) => {
  const fixture = await startEndpoint(t);
  const server = http.createServer();
  const sockets = new WebSocketServer({ server, maxPayload: 100_000 });
  t.after(() => sockets.close());
  sockets.on('connection', (socket) => socket.on('error', () => undefined));
  await fixture.expose(8080, server);
  const overH2 = await openOverH2(t, fixture);
  for (const [name, bytes, code] of mistakes) {
    for (const connection of [await openOverH1(fixture), await overH2()]) {
      connection.write(bytes);
      const [answer] = await once(connection.resume(), 'data');
      assert.deepEqual([answer[0], answer.readUInt16BE(2)], [0x88, code], name);
      connection.on('error', () => undefined).destroy();
    }
  }
});

/** A client of other people and an application that says back what it hears. */
async function openEcho(
  t: TestContext,
  deflate: boolean,
): Promise<{ socket: WebSocket; accepted: WebSocket; extensions: string }> {
  const fixture = await startEndpoint(t);
  const server = http.createServer();
  const sockets = new WebSocketServer({ server, perMessageDeflate: deflate ? { threshold: 0 } : false });
  t.after(() => sockets.close());
  await fixture.expose(8080, server);
  const arrival = once(sockets, 'connection');
  const socket = new WebSocket(`wss://${fixture.host}:${fixture.port}/`, {
    ca: fixture.ca,
    lookup: lookupLoopback,
    headers: { host: fixture.host, 'x-aws-proxy-auth': fixture.token },
    perMessageDeflate: deflate ? { threshold: 0, clientMaxWindowBits: 12, serverMaxWindowBits: 11 } : false,
  });
  t.after(() => socket.terminate());
  const [[accepted], [response]] = await Promise.all([
    arrival,
    once(socket, 'upgrade'),
    once(socket, 'open'),
  ]);
  accepted.on('message', (data: Buffer, isBinary: boolean) => accepted.send(data, { binary: isBinary }));
  return { socket, accepted, extensions: String(response.headers['sec-websocket-extensions']) };
}

test('compression is agreed on by the peers and passes', async (t) => {
  const { socket, extensions } = await openEcho(t, true);
  assert.match(extensions, /^permessage-deflate;.* client_max_window_bits=12/);
  assert.match(extensions, /; server_max_window_bits=11/);
  for (const message of [Buffer.alloc(1_000_000, 'dormouse'), randomBytes(300_000), Buffer.alloc(0)]) {
    socket.send(message);
    assert.ok(message.equals((await once(socket, 'message'))[0]));
  }
});

test('pings are answered by the peers, in the middle of a fragmented message too', async (t) => {
  const { socket, accepted } = await openEcho(t, false);
  const whole = once(socket, 'message');
  socket.send('one ', { fin: false });
  socket.ping('from the client');
  assert.equal(String((await once(socket, 'pong'))[0]), 'from the client');
  accepted.ping('from the application');
  assert.equal(String((await once(accepted, 'pong'))[0]), 'from the application');
  socket.send('two', { fin: true });
  assert.equal(String((await whole)[0]), 'one two');
});

test('every close code that may be sent arrives with its reason, from either side', async (t) => {
  for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999]) {
    const reason = `because of ${code}`;
    const first = await openEcho(t, false);
    first.socket.close(code, reason);
    const [heard, why] = await once(first.accepted, 'close');
    assert.deepEqual([heard, String(why)], [code, reason]);
    const second = await openEcho(t, false);
    second.accepted.close(code, reason);
    const [seen, because] = await once(second.socket, 'close');
    assert.deepEqual([seen, String(because)], [code, reason]);
  }
});
