import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { test } from 'node:test';
import {
  type Answer,
  ask,
  askH2,
  type Fixture,
  h2Headers,
  h2Session,
  noAnswer,
  startEndpoint,
} from './fixture.ts';
import * as raw from './raw-h2.ts';

const { frame, block } = raw;
const end = raw.END_HEADERS | raw.END_STREAM;
const force = { 'x-aws-proxy-force-h2': 'true' };

/** Greets as HTTP/2 does, and answers each request with bytes. */
function speaking(
  answer: (streamId: number) => Buffer,
  greeting: Buffer = frame(raw.SETTINGS, 0, 0),
): net.Server {
  return net.createServer((socket) => {
    let pending: Buffer = Buffer.alloc(0);
    let preface = 24;
    socket.on('error', () => undefined);
    socket.write(greeting);
    socket.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      for (;;) {
        if (preface > 0 && pending.length >= preface) {
          pending = pending.subarray(preface);
          preface = 0;
        }
        const size = pending.length < 9 ? Number.POSITIVE_INFINITY : 9 + pending.readUIntBE(0, 3);
        if (preface > 0 || pending.length < size) return;
        if (pending[3] === raw.HEADERS) socket.write(answer(pending.readUInt32BE(5)));
        if (pending[3] === raw.SETTINGS && pending[4] === 0) socket.write(frame(raw.SETTINGS, raw.ACK, 0));
        pending = pending.subarray(size);
      }
    });
  });
}

const ok = (...more: ReadonlyArray<readonly [string, string]>): Buffer => block([':status', '200'], ...more);
const head = (id: number, fields: Buffer, flags = end): Buffer => frame(raw.HEADERS, flags, id, fields);
const times = (count: number, bytes: Buffer): Buffer => Buffer.concat(Array<Buffer>(count).fill(bytes));
const fields = (count: number): (readonly [string, string])[] =>
  Array.from({ length: count }, (_, index) => [`x-${index}`, '1'] as const);
/** A header block in as many frames as it takes. */
function continued(id: number, bytes: Buffer): Buffer {
  const frames: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 16_000) {
    const last = at + 16_000 >= bytes.length ? raw.END_HEADERS : 0;
    const type = at === 0 ? raw.HEADERS : raw.CONTINUATION;
    frames.push(frame(type, at === 0 ? last | raw.END_STREAM : last, id, bytes.subarray(at, at + 16_000)));
  }
  return Buffer.concat(frames);
}

/** What an application says instead of an answer. */
const answeredWith502: Readonly<Record<string, (id: number) => Buffer>> = {
  'a reset': (id) => frame(raw.RST_STREAM, 0, id, raw.word(2)),
  'a refusal of the stream': (id) => frame(raw.RST_STREAM, 0, id, raw.word(raw.REFUSED_STREAM)),
  'GOAWAY that leaves the request out': () => frame(raw.GOAWAY, 0, 0, raw.word(0, 0)),
  'a header block that does not decode': (id) => head(id, Buffer.from('ffffffffffff', 'hex')),
  'no status': (id) => head(id, block(['x-a', 'b'])),
  'two statuses': (id) => head(id, block([':status', '200'], [':status', '201'])),
  'status 0': (id) => head(id, block([':status', '000'])),
  'status 1000': (id) => head(id, block([':status', '1000'])),
  'a switch of protocols': (id) => head(id, block([':status', '101'])),
  'a pseudo-header of requests': (id) => head(id, ok([':path', '/'])),
  'a header of one hop': (id) => head(id, ok(['connection', 'close'])),
  'a name in capitals': (id) => head(id, ok(['X-A', 'b'])),
  'a huge header': (id) => continued(id, ok(['x-a', 'a'.repeat(70_000)])),
  'a thousand headers': (id) => continued(id, ok(...fields(1000))),
  'a header block without end': (id) =>
    Buffer.concat([head(id, ok(), 0), times(2000, frame(raw.CONTINUATION, 0, id, block(['x-a', 'b'])))]),
  'endless informational responses': (id) => times(500, head(id, block([':status', '103']), raw.END_HEADERS)),
  'an informational response as the end': (id) => head(id, block([':status', '103'])),
  'a body before the head': (id) => frame(raw.DATA, raw.END_STREAM, id, 'body'),
  'a huge frame': (id) => head(id, ok(['x-a', 'a'.repeat(20_000)])),
  'a pushed request': (id) =>
    frame(raw.PUSH_PROMISE, raw.END_HEADERS, id, Buffer.concat([raw.word(2), block([':method', 'GET'])])),
  'an impossible setting': () => frame(raw.SETTINGS, 0, 0, raw.setting(4, 0xffff_ffff)),
  'a window larger than one can be': () => frame(raw.WINDOW_UPDATE, 0, 0, raw.word(0x7fff_ffff)),
  'a length that is none': (id) => head(id, ok(['content-length', '-1'])),
};

/** Both, one after the other: they would share a session. */
async function askBoth(t: Parameters<typeof startEndpoint>[0], fixture: Fixture): Promise<Answer[]> {
  const session = await h2Session(t, fixture);
  return [await ask(fixture, { headers: force }), await askH2(session, h2Headers(fixture, force))];
}

/** Neither the endpoint nor another application has come to harm. */
async function unharmed(fixture: Fixture): Promise<void> {
  await fixture.expose(
    9000,
    http.createServer((_request, response) => response.end('ok')),
  );
  assert.equal((await ask(fixture, { headers: { 'x-aws-proxy-port': '9000' } })).body, 'ok');
  assert.deepEqual(fixture.errors, []);
}

for (const [name, answer] of Object.entries(answeredWith502)) {
  test(`an application of HTTP/2 that sends ${name} is answered for with 502`, {
    timeout: 20_000,
  }, async (t) => {
    const fixture = await startEndpoint(t);
    await fixture.expose(8080, speaking(answer));
    for (const { status, body, headers } of await askBoth(t, fixture)) {
      assert.deepEqual([status, body, headers['x-aws-proxy-error']], [502, noAnswer, 'BAD_GATEWAY']);
    }
    await unharmed(fixture);
  });
}

/** What an application says behind the head of an answer with a body. */
const brokenOff: Readonly<Record<string, (id: number) => Buffer>> = {
  'less than announced': (id) => frame(raw.DATA, raw.END_STREAM, id, 'abc'),
  'more than announced': (id) => frame(raw.DATA, raw.END_STREAM, id, 'abcdefghijklmnop'),
  'a reset': (id) => frame(raw.RST_STREAM, 0, id, raw.word(8)),
  'a second head': (id) => head(id, ok(), raw.END_HEADERS),
  'trailers that do not end the stream': (id) => head(id, block(['x-a', 'b']), raw.END_HEADERS),
  'a pseudo-header as a trailer': (id) => head(id, block([':status', '200'])),
  'a frame of a stream that nobody opened': () => frame(raw.DATA, 0, 101, 'abc'),
  'more padding than frame': (id) => frame(raw.DATA, raw.PADDED, id, Buffer.from([200, 1, 2])),
};

for (const [name, rest] of Object.entries(brokenOff)) {
  test(`an answer over HTTP/2 that goes on with ${name} does not look complete`, {
    timeout: 20_000,
  }, async (t) => {
    const fixture = await startEndpoint(t);
    const announced = ok(['content-length', '10']);
    const answer = (id: number): Buffer => Buffer.concat([head(id, announced, raw.END_HEADERS), rest(id)]);
    await fixture.expose(8080, speaking(answer));
    const session = await h2Session(t, fixture);
    const stream = session.request(h2Headers(fixture, force));
    stream.on('error', () => undefined).resume();
    await new Promise((resolve) => stream.once('close', resolve));
    assert.notEqual(stream.rstCode, http2.constants.NGHTTP2_NO_ERROR);
    await assert.rejects(ask(fixture, { headers: force }), { code: 'ECONNRESET' });
    await unharmed(fixture);
  });
}

/** Frames without end that ask for answers or for memory. */
const floods: Readonly<Record<string, (id: number) => Buffer>> = {
  pings: () => frame(raw.PING, 0, 0, Buffer.alloc(8)),
  settings: () => frame(raw.SETTINGS, 0, 0, raw.setting(3, 100)),
  'empty frames': (id) => frame(raw.DATA, 0, id),
  'windows opened': () => frame(raw.WINDOW_UPDATE, 0, 0, raw.word(1)),
  priorities: (id) => frame(raw.PRIORITY, 0, id, Buffer.alloc(5, 1)),
};

for (const [name, one] of Object.entries(floods)) {
  test(`a flood from an application of HTTP/2 harms nobody else: ${name}`, { timeout: 60_000 }, async (t) => {
    const fixture = await startEndpoint(t);
    await fixture.expose(
      8080,
      speaking((id) => Buffer.concat([head(id, ok(), raw.END_HEADERS), times(200_000, one(id))])),
    );
    const session = await h2Session(t, fixture);
    const stream = session.request(h2Headers(fixture, force));
    stream.on('error', () => undefined).resume();
    await once(stream, 'response');
    await unharmed(fixture);
    stream.close(http2.constants.NGHTTP2_CANCEL);
  });
}

test('a value with a new line in it does not become another header', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(
    8080,
    speaking((id) => head(id, ok(['x-a', 'b\r\nset-cookie: c'], ['x-b', 'd']))),
  );
  for (const { status, headers } of await askBoth(t, fixture)) {
    assert.ok(status === 502 || headers['x-b'] === 'd');
    assert.equal(headers['set-cookie'], undefined);
  }
  await unharmed(fixture);
});

test('an application that never greets is given up', async (t) => {
  const fixture = await startEndpoint(t, { limits: { upstreamHandshakeTimeoutMs: 200 } });
  await fixture.expose(
    8080,
    net.createServer((socket) => socket.resume()),
  );
  for (const { status } of await askBoth(t, fixture)) assert.equal(status, 502);
  for (const connection of fixture.connections) if (!connection.closed) await once(connection, 'close');
  await unharmed(fixture);
});
