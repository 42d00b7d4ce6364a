/** What RFC 9113 forbids, and what is to become of who does it. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { type TestContext, test } from 'node:test';
import { type Fixture, startEndpoint } from './fixture.ts';
import * as h2 from './raw-h2.ts';

const { frame, word, setting, request } = h2;
const whole = h2.END_HEADERS | h2.END_STREAM;

/** Frames that follow preface and SETTINGS. */
type Said = (fixture: Fixture) => readonly Buffer[];

const open = (fixture: Fixture, id = 1, replaced: Record<string, string> = {}): Buffer =>
  frame(h2.HEADERS, h2.END_HEADERS, id, request(fixture, { ':method': 'POST', ...replaced }));
const get = (fixture: Fixture, id = 1): Buffer => frame(h2.HEADERS, whole, id, request(fixture));

/** Answers a GET at once, a POST when its body has ended. */
async function start(t: TestContext): Promise<{ fixture: Fixture; seen: string[] }> {
  const fixture = await startEndpoint(t, {
    limits: { streamWindowBytes: 100_000, connectionWindowBytes: 150_000 },
  });
  const seen: string[] = [];
  const server = http.createServer((message, response) => {
    seen.push(`${message.method} ${message.url}`);
    message.resume().on('end', () => response.end('ok'));
  });
  await fixture.expose(8080, server);
  return { fixture, seen };
}

const endsConnection: ReadonlyArray<readonly [string, number, Said]> = [
  ['DATA on the connection', h2.PROTOCOL_ERROR, () => [frame(h2.DATA, 0, 0, 'x')]],
  ['DATA on an idle stream', h2.PROTOCOL_ERROR, () => [frame(h2.DATA, 0, 1, 'x')]],
  [
    'DATA with too much padding',
    h2.PROTOCOL_ERROR,
    (f) => [open(f), frame(h2.DATA, h2.PADDED, 1, '\x05abc')],
  ],
  ['DATA beyond the window of the connection', h2.FLOW_CONTROL_ERROR, beyondConnectionWindow],
  ['HEADERS on the connection', h2.PROTOCOL_ERROR, (f) => [get(f, 0)]],
  ['HEADERS on a stream of the server', h2.PROTOCOL_ERROR, (f) => [get(f, 2)]],
  [
    'HEADERS with too much padding',
    h2.PROTOCOL_ERROR,
    () => [frame(h2.HEADERS, whole | h2.PADDED, 1, '\x05abc')],
  ],
  [
    'HEADERS without room for their priority',
    h2.FRAME_SIZE_ERROR,
    () => [frame(h2.HEADERS, whole | h2.HAS_PRIORITY, 1, 'abc')],
  ],
  ['HEADERS that are no HPACK', h2.COMPRESSION_ERROR, () => [frame(h2.HEADERS, whole, 1, '\x80')]],
  ['CONTINUATION of nothing', h2.PROTOCOL_ERROR, () => [frame(h2.CONTINUATION, h2.END_HEADERS, 1)]],
  [
    'CONTINUATION of a block that has ended',
    h2.PROTOCOL_ERROR,
    (f) => [open(f), frame(h2.CONTINUATION, h2.END_HEADERS, 1)],
  ],
  [
    'CONTINUATION on another stream',
    h2.PROTOCOL_ERROR,
    (f) => [frame(h2.HEADERS, 0, 1, request(f)), frame(h2.CONTINUATION, h2.END_HEADERS, 3)],
  ],
  [
    'a frame in the middle of a header block',
    h2.PROTOCOL_ERROR,
    (f) => [frame(h2.HEADERS, 0, 1, request(f)), frame(h2.PING, 0, 0, '12345678')],
  ],
  [
    'DATA in the middle of a header block',
    h2.PROTOCOL_ERROR,
    (f) => [open(f), frame(h2.HEADERS, 0, 3, request(f)), frame(h2.DATA, 0, 1, 'x')],
  ],
  ['PRIORITY of the connection', h2.PROTOCOL_ERROR, () => [frame(h2.PRIORITY, 0, 0, '12345')]],
  ['PRIORITY of another size', h2.FRAME_SIZE_ERROR, () => [frame(h2.PRIORITY, 0, 1, '1234')]],
  ['RST_STREAM on the connection', h2.PROTOCOL_ERROR, () => [frame(h2.RST_STREAM, 0, 0, word(8))]],
  ['RST_STREAM on an idle stream', h2.PROTOCOL_ERROR, () => [frame(h2.RST_STREAM, 0, 1, word(8))]],
  ['RST_STREAM of another size', h2.FRAME_SIZE_ERROR, (f) => [open(f), frame(h2.RST_STREAM, 0, 1, 'abc')]],
  ['SETTINGS on a stream', h2.PROTOCOL_ERROR, () => [frame(h2.SETTINGS, 0, 1)]],
  ['SETTINGS of another size', h2.FRAME_SIZE_ERROR, () => [frame(h2.SETTINGS, 0, 0, 'abc')]],
  [
    'an acknowledgement with settings',
    h2.FRAME_SIZE_ERROR,
    () => [frame(h2.SETTINGS, h2.ACK, 0, setting(1, 1))],
  ],
  ['ENABLE_PUSH = 2', h2.PROTOCOL_ERROR, () => [frame(h2.SETTINGS, 0, 0, setting(2, 2))]],
  ['a window of 2^31', h2.FLOW_CONTROL_ERROR, () => [frame(h2.SETTINGS, 0, 0, setting(4, 2 ** 31))]],
  ['a frame size of 1', h2.PROTOCOL_ERROR, () => [frame(h2.SETTINGS, 0, 0, setting(5, 1))]],
  ['a frame size of 2^24', h2.PROTOCOL_ERROR, () => [frame(h2.SETTINGS, 0, 0, setting(5, 2 ** 24))]],
  ['ENABLE_CONNECT_PROTOCOL = 2', h2.PROTOCOL_ERROR, () => [frame(h2.SETTINGS, 0, 0, setting(8, 2))]],
  [
    'SETTINGS that make an open window too large',
    h2.FLOW_CONTROL_ERROR,
    (f) => [
      open(f),
      frame(h2.WINDOW_UPDATE, 0, 1, word(1)),
      frame(h2.SETTINGS, 0, 0, setting(4, 2 ** 31 - 1)),
    ],
  ],
  ['PUSH_PROMISE', h2.PROTOCOL_ERROR, (f) => [open(f), frame(h2.PUSH_PROMISE, h2.END_HEADERS, 1, word(2))]],
  ['PING on a stream', h2.PROTOCOL_ERROR, () => [frame(h2.PING, 0, 1, '12345678')]],
  ['PING of another size', h2.FRAME_SIZE_ERROR, () => [frame(h2.PING, 0, 0, '1234567')]],
  ['GOAWAY on a stream', h2.PROTOCOL_ERROR, () => [frame(h2.GOAWAY, 0, 1, word(0, 0))]],
  ['GOAWAY that ends too soon', h2.FRAME_SIZE_ERROR, () => [frame(h2.GOAWAY, 0, 0, word(0))]],
  ['WINDOW_UPDATE of another size', h2.FRAME_SIZE_ERROR, () => [frame(h2.WINDOW_UPDATE, 0, 0, 'abc')]],
  ['WINDOW_UPDATE by nothing', h2.PROTOCOL_ERROR, () => [frame(h2.WINDOW_UPDATE, 0, 0, word(0))]],
  ['WINDOW_UPDATE on an idle stream', h2.PROTOCOL_ERROR, () => [frame(h2.WINDOW_UPDATE, 0, 1, word(1))]],
  [
    'a window of the connection beyond 2^31',
    h2.FLOW_CONTROL_ERROR,
    () => [frame(h2.WINDOW_UPDATE, 0, 0, word(2 ** 31 - 1))],
  ],
  ['a frame larger than agreed', h2.FRAME_SIZE_ERROR, () => [frame(0xfe, 0, 0, Buffer.alloc(16_385))]],
];

function beyondConnectionWindow(fixture: Fixture): readonly Buffer[] {
  // The microVM takes nothing: its requests have no token, and their streams stay open for what is unfinished.
  const block = Buffer.alloc(16_000);
  const data = [1, 3].flatMap((id) => Array.from({ length: 6 }, () => frame(h2.DATA, 0, id, block)));
  return [
    open(fixture, 1, { 'x-aws-proxy-port': '81' }),
    open(fixture, 3, { 'x-aws-proxy-port': '81' }),
    ...data,
  ];
}

for (const [name, code, said] of endsConnection) {
  test(`ends the connection: ${name}`, async (t) => {
    const { fixture } = await start(t);
    await fixture.expose(81, http.createServer());
    const connection = await h2.rawH2(t, fixture);
    connection.send(...said(fixture));
    const goaway = await connection.next(({ type }) => type === h2.GOAWAY);
    assert.equal(h2.codeOf(goaway), code);
    await connection.untilEnded();
    assert.deepEqual(fixture.errors, []);
  });
}

test('ends the connection: no preface, or no SETTINGS behind it', async (t) => {
  const { fixture } = await start(t);
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  for (const greeting of [
    Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
    Buffer.concat([preface, frame(h2.PING, 0, 0, '12345678')]),
    Buffer.concat([preface, get(fixture)]),
    Buffer.concat([preface, frame(h2.SETTINGS, h2.ACK, 0)]),
  ]) {
    const connection = await h2.rawH2(t, fixture, greeting);
    const goaway = await connection.next(({ type }) => type === h2.GOAWAY);
    assert.equal(h2.codeOf(goaway), h2.PROTOCOL_ERROR);
    await connection.untilEnded();
  }
});

test('ends the connection: frames on a stream that both sides have ended', async (t) => {
  const { fixture } = await start(t);
  for (const late of [get(fixture), frame(h2.DATA, 0, 1, 'x')]) {
    const connection = await h2.rawH2(t, fixture);
    connection.send(get(fixture));
    await connection.next(({ type, flags }) => type === h2.DATA && (flags & h2.END_STREAM) !== 0);
    // These may still be on their way when a stream ends.
    connection.send(frame(h2.WINDOW_UPDATE, 0, 1, word(10)), frame(h2.RST_STREAM, 0, 1, word(8)));
    assert.ok(await connection.settle());
    connection.send(late);
    const goaway = await connection.next(({ type }) => type === h2.GOAWAY);
    assert.equal(h2.codeOf(goaway), h2.STREAM_CLOSED);
  }
});

const endsStream: ReadonlyArray<readonly [string, number, Said]> = [
  [
    'DATA behind the end',
    h2.STREAM_CLOSED,
    (f) => [frame(h2.HEADERS, whole, 1, request(f, { 'x-aws-proxy-port': '81' })), frame(h2.DATA, 0, 1, 'x')],
  ],
  [
    'HEADERS behind the end',
    h2.STREAM_CLOSED,
    (f) => [frame(h2.HEADERS, whole, 1, request(f, { 'x-aws-proxy-port': '81' })), get(f)],
  ],
  ['WINDOW_UPDATE by nothing', h2.PROTOCOL_ERROR, (f) => [open(f), frame(h2.WINDOW_UPDATE, 0, 1, word(0))]],
  [
    'a window beyond 2^31',
    h2.FLOW_CONTROL_ERROR,
    (f) => [open(f), frame(h2.WINDOW_UPDATE, 0, 1, word(2 ** 31 - 1))],
  ],
  [
    'DATA beyond its window',
    h2.FLOW_CONTROL_ERROR,
    (f) => [
      open(f, 1, { 'x-aws-proxy-port': '81' }),
      ...Array.from({ length: 7 }, () => frame(h2.DATA, 0, 1, Buffer.alloc(16_000))),
    ],
  ],
  [
    'more than the content length',
    h2.PROTOCOL_ERROR,
    (f) => [open(f, 1, { 'content-length': '3' }), frame(h2.DATA, 0, 1, 'four')],
  ],
  [
    'less than the content length',
    h2.PROTOCOL_ERROR,
    (f) => [open(f, 1, { 'content-length': '3' }), frame(h2.DATA, h2.END_STREAM, 1, 'ab')],
  ],
  [
    'trailers in place of content',
    h2.PROTOCOL_ERROR,
    (f) => [open(f, 1, { 'content-length': '3' }), frame(h2.HEADERS, whole, 1, h2.block(['x-a', 'b']))],
  ],
  [
    'trailers that are not the end',
    h2.PROTOCOL_ERROR,
    (f) => [open(f), frame(h2.HEADERS, h2.END_HEADERS, 1, h2.block(['x-a', 'b']))],
  ],
  [
    'a pseudo-header in trailers',
    h2.PROTOCOL_ERROR,
    (f) => [open(f), frame(h2.HEADERS, whole, 1, h2.block([':path', '/']))],
  ],
  [
    'a connection field in trailers',
    h2.PROTOCOL_ERROR,
    (f) => [open(f), frame(h2.HEADERS, whole, 1, h2.block(['transfer-encoding', 'chunked']))],
  ],
];

/** Heads of requests that have no meaning, or more than one. */
const malformed: ReadonlyArray<readonly [string, (fixture: Fixture) => Buffer]> = [
  ['no method', (f) => request(f, { ':method': undefined })],
  ['no scheme', (f) => request(f, { ':scheme': undefined })],
  ['no path', (f) => request(f, { ':path': undefined })],
  ['an empty path', (f) => request(f, { ':path': '' })],
  ['a space in the path', (f) => request(f, { ':path': '/ HTTP/1.1' })],
  ['a line end in the path', (f) => request(f, { ':path': '/\r\nx: y' })],
  ['a byte beyond ASCII in the path', (f) => request(f, { ':path': '/\xe9' })],
  ['a method that is no token', (f) => request(f, { ':method': 'GET /' })],
  ['a method twice', (f) => h2.block([':method', 'GET'], ...fieldsOf(f))],
  ['a pseudo-header of responses', (f) => request(f, { ':status': '200' })],
  ['an unknown pseudo-header', (f) => request(f, { ':host': 'x' })],
  ['a pseudo-header behind a field', (f) => h2.block(['x-a', 'b'], ...fieldsOf(f))],
  ['a pseudo-header behind a cookie', (f) => h2.block(['cookie', 'b'], ...fieldsOf(f))],
  ['a protocol without CONNECT', (f) => request(f, { ':protocol': 'websocket' })],
  ['CONNECT with a path', (f) => request(f, { ':method': 'CONNECT' })],
  ['a name in upper case', (f) => request(f, { 'X-A': 'b' })],
  ['an empty name', (f) => request(f, { '': 'b' })],
  ['a space in a name', (f) => request(f, { 'x a': 'b' })],
  ['a colon in a name', (f) => request(f, { 'x:a': 'b' })],
  ['a line end in a name', (f) => request(f, { 'x\r\na': 'b' })],
  ['a line end in a value', (f) => request(f, { 'x-a': 'b\r\nc: d' })],
  ['a bare CR in a value', (f) => request(f, { 'x-a': 'b\rc' })],
  ['a bare LF in a value', (f) => request(f, { 'x-a': 'b\nc' })],
  ['NUL in a value', (f) => request(f, { 'x-a': 'b\0c' })],
  ['a space before a value', (f) => request(f, { 'x-a': ' b' })],
  ['a tab behind a value', (f) => request(f, { 'x-a': 'b\t' })],
  ['a line end in a cookie', (f) => request(f, { cookie: 'b\r\nc: d' })],
  ['connection', (f) => request(f, { connection: 'close' })],
  ['keep-alive', (f) => request(f, { 'keep-alive': 'timeout=5' })],
  ['proxy-connection', (f) => request(f, { 'proxy-connection': 'close' })],
  ['transfer-encoding', (f) => request(f, { 'transfer-encoding': 'chunked' })],
  ['upgrade', (f) => request(f, { upgrade: 'h2c' })],
  ['te other than trailers', (f) => request(f, { te: 'gzip' })],
  ['a content length and no content', (f) => request(f, { ':method': 'POST', 'content-length': '1' })],
  ['two content lengths', (f) => request(f, { 'content-length': '0' }, ['content-length', '0'])],
  ['a list of content lengths', (f) => request(f, { 'content-length': '0, 0' })],
  ['a content length with a sign', (f) => request(f, { 'content-length': '+0' })],
  ['an empty content length', (f) => request(f, { 'content-length': '' })],
];

function fieldsOf(fixture: Fixture): ReadonlyArray<readonly [string, string]> {
  return [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':authority', fixture.host],
    [':path', '/'],
    ['x-aws-proxy-auth', fixture.token],
  ];
}

for (const [name, code, said] of [
  ...endsStream,
  ...malformed.map(
    ([name, head]) =>
      [name, h2.PROTOCOL_ERROR, (f: Fixture) => [frame(h2.HEADERS, whole, 1, head(f))]] as const,
  ),
]) {
  test(`ends the stream only: ${name}`, async (t) => {
    const { fixture, seen } = await start(t);
    await fixture.expose(81, http.createServer());
    const connection = await h2.rawH2(t, fixture);
    connection.send(...said(fixture), get(fixture, 5));
    const reset = await connection.next(({ type, id }) => type === h2.RST_STREAM && id === 1);
    assert.equal(h2.codeOf(reset), code);
    const answer = await connection.next(({ type, id }) => type === h2.DATA && id === 5);
    assert.equal(String(answer?.payload), 'ok');
    assert.ok(
      !connection.frames.some(({ type, id }) => id === 1 && (type === h2.HEADERS || type === h2.DATA)),
    );
    // It never looked complete to the application.
    assert.deepEqual(
      seen.filter((line) => line.startsWith('GET')),
      ['GET /'],
    );
    assert.deepEqual(fixture.errors, []);
  });
}

const allowed: ReadonlyArray<readonly [string, Said]> = [
  ['an unknown frame', () => [frame(0xbe, 0xff, 1, 'whatever')]],
  ['an unknown setting', () => [frame(h2.SETTINGS, 0, 0, setting(0x7777, 1))]],
  ['an unknown flag of PING', () => [frame(h2.PING, 0xfe, 0, '12345678')]],
  ['PRIORITY of an idle stream, and of itself', () => [frame(h2.PRIORITY, 0, 3, Buffer.of(0, 0, 0, 3, 9))]],
  ['GOAWAY', () => [frame(h2.GOAWAY, 0, 0, Buffer.concat([word(0, 0), Buffer.from('farewell')]))]],
  ['a reserved bit', () => [frame(h2.WINDOW_UPDATE, 0, 0x8000_0000, word(0x8000_0001))]],
  [
    'padding, priority and continuations',
    (f) => {
      const [head, padding] = [request(f), Buffer.alloc(7)];
      return [
        frame(
          h2.HEADERS,
          h2.END_STREAM | h2.PADDED | h2.HAS_PRIORITY,
          1,
          Buffer.concat([Buffer.of(7, 0, 0, 0, 0, 200), head.subarray(0, 10), padding]),
        ),
        frame(h2.CONTINUATION, 0, 1, head.subarray(10, 11)),
        frame(h2.CONTINUATION, 0, 1),
        frame(h2.CONTINUATION, h2.END_HEADERS, 1, head.subarray(11)),
      ];
    },
  ],
];

for (const [name, said] of allowed) {
  test(`is no error: ${name}`, async (t) => {
    const { fixture } = await start(t);
    const connection = await h2.rawH2(t, fixture);
    connection.send(...said(fixture), get(fixture, 5));
    const answer = await connection.next(({ type, id }) => type === h2.DATA && id === 5);
    assert.equal(String(answer?.payload), 'ok');
    assert.ok(!connection.frames.some(({ type }) => type === h2.GOAWAY || type === h2.RST_STREAM));
  });
}
