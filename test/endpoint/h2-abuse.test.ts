/** Clients that mean harm, or have lost their senses, over HTTP/2. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { until } from '../support/until.ts';
import { type Fixture, type FixtureOptions, h2Headers, h2Session, startEndpoint } from './fixture.ts';
import * as h2 from './raw-h2.ts';

const { frame, word, request } = h2;
const whole = h2.END_HEADERS | h2.END_STREAM;

async function start(t: TestContext, options: FixtureOptions = {}): Promise<Fixture> {
  const fixture = await startEndpoint(t, options);
  await fixture.expose(
    8080,
    http.createServer((message, response) => message.resume().on('end', () => response.end('ok'))),
  );
  // Accepts connections and says nothing.
  await fixture.expose(81, net.createServer());
  return fixture;
}

const silent = (fixture: Fixture): Buffer => request(fixture, { 'x-aws-proxy-port': '81' });

/** More than a client may do at once. */
const often = 1200;
const repeat = (said: (index: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: often }, (_, index) => said(index)));

const floods: ReadonlyArray<readonly [string, (fixture: Fixture) => Buffer]> = [
  [
    'requests that are given up at once',
    (f) =>
      repeat((index) =>
        Buffer.concat([
          frame(h2.HEADERS, whole, 2 * index + 1, silent(f)),
          frame(h2.RST_STREAM, 0, 2 * index + 1, word(8)),
        ]),
      ),
  ],
  [
    'requests that make us reset them',
    (f) =>
      repeat((index) =>
        Buffer.concat([
          frame(h2.HEADERS, whole, 2 * index + 1, silent(f)),
          frame(h2.WINDOW_UPDATE, 0, 2 * index + 1, word(0)),
        ]),
      ),
  ],
  [
    'requests that are none',
    () => repeat((index) => frame(h2.HEADERS, whole, 2 * index + 1, h2.block(['A', '']))),
  ],
  ['PING', () => repeat(() => frame(h2.PING, 0, 0, '12345678'))],
  ['SETTINGS', () => repeat(() => frame(h2.SETTINGS, 0, 0, h2.setting(4, 65_535)))],
  [
    'empty DATA',
    (f) =>
      Buffer.concat([frame(h2.HEADERS, h2.END_HEADERS, 1, silent(f)), repeat(() => frame(h2.DATA, 0, 1))]),
  ],
  [
    'empty continuations',
    (f) => Buffer.concat([frame(h2.HEADERS, 0, 1, request(f)), repeat(() => frame(h2.CONTINUATION, 0, 1))]),
  ],
  [
    'a header block without end',
    (f) =>
      Buffer.concat([
        frame(h2.HEADERS, 0, 1, request(f)),
        ...Array.from({ length: 5 }, () => frame(h2.CONTINUATION, 0, 1, Buffer.alloc(16_384))),
      ]),
  ],
];

for (const [name, flood] of floods) {
  test(`a flood ends its connection and no other: ${name}`, async (t) => {
    const fixture = await start(t);
    const other = await h2.rawH2(t, fixture);
    const connection = await h2.rawH2(t, fixture);
    connection.send(flood(fixture));
    const goaway = await connection.next(({ type }) => type === h2.GOAWAY);
    assert.equal(h2.codeOf(goaway), h2.ENHANCE_YOUR_CALM);
    await connection.untilEnded();
    // Connections into the microVM that were opened for it are gone with it.
    for (const inside of fixture.connections) if (!inside.closed) await once(inside, 'close');
    other.send(frame(h2.HEADERS, whole, 1, request(fixture)));
    const answer = await other.next(({ type }) => type === h2.DATA);
    assert.equal(String(answer?.payload), 'ok');
    assert.deepEqual(fixture.errors, []);
  });
}

test('a head that grows in the reading is refused, and those behind it are understood', async (t) => {
  const fixture = await start(t, { limits: { headerBytes: 16_384 } });
  const connection = await h2.rawH2(t, fixture);
  // A field of 3,000 bytes goes into the table, and is then named again and again, one byte each.
  const large = Buffer.concat([Buffer.of(0x40), h2.block(['x-bomb', 'x'.repeat(3000)]).subarray(1)]);
  const head = request(fixture);
  connection.send(frame(h2.HEADERS, whole, 1, Buffer.concat([head, large, Buffer.alloc(9000, 0xbe)])));
  connection.send(frame(h2.HEADERS, whole, 3, Buffer.concat([head, Buffer.of(0xbe)])));
  const refused = await connection.next(({ type, id }) => type === h2.DATA && id === 1);
  assert.equal(String(refused?.payload), 'Request header fields too large');
  const answer = await connection.next(({ type, id }) => type === h2.DATA && id === 3);
  assert.equal(String(answer?.payload), 'ok');
});

test('streams beyond the limit are refused in a way that can be tried again', async (t) => {
  const fixture = await start(t, { limits: { concurrentStreams: 2 } });
  const connection = await h2.rawH2(t, fixture);
  for (const id of [1, 3, 5]) connection.send(frame(h2.HEADERS, whole, id, silent(fixture)));
  const refused = await connection.next(({ type }) => type === h2.RST_STREAM);
  assert.deepEqual([refused?.id, h2.codeOf(refused)], [5, h2.REFUSED_STREAM]);
  connection.send(frame(h2.RST_STREAM, 0, 1, word(8)), frame(h2.HEADERS, whole, 7, request(fixture)));
  const answer = await connection.next(({ type }) => type === h2.DATA);
  assert.equal(answer?.id, 7);
});

test('what does not come in time ends the connection', async (t) => {
  const fixture = await start(t, { limits: { headersTimeoutMs: 300 } });
  const preface = await h2.rawH2(t, fixture, Buffer.from('PRI * HTTP/2.0\r\n'));
  await preface.untilEnded();
  const block = await h2.rawH2(t, fixture);
  block.send(frame(h2.HEADERS, 0, 1, request(fixture)));
  assert.equal(h2.codeOf(await block.next(({ type }) => type === h2.GOAWAY)), h2.ENHANCE_YOUR_CALM);
  await block.untilEnded();
});

test('a client that reads nothing for long gets all its answers when it does', async (t) => {
  const fixture = await start(t);
  const connection = await h2.rawH2(t, fixture);
  await connection.next(({ type }) => type === h2.SETTINGS);
  connection.socket.pause();
  // Its answers are more than the endpoint holds before it stops reading.
  const count = 8000;
  connection.send(frame(h2.WINDOW_UPDATE, 0, 0, word(count * 100)));
  const anonymous = request(fixture, { 'x-aws-proxy-auth': undefined });
  for (let index = 0; index < count; index += 1) {
    connection.send(frame(h2.HEADERS, whole, 2 * index + 1, anonymous));
  }
  await until('it has read half of them', () => fixture.endpoint.status().requests['http/2'] >= 4000);
  connection.socket.resume();
  const answer = await connection.next(({ type, id }) => type === h2.DATA && id === 2 * count - 1);
  assert.equal(String(answer?.payload), 'Request missing authentication');
  assert.equal(connection.frames.filter(({ type }) => type === h2.HEADERS).length, count);
});

test('a download waits for a client that does not take it', async (t) => {
  const fixture = await start(t);
  let written = 0;
  const blocked = Promise.withResolvers<void>();
  const server = http.createServer((_request, response) => {
    const chunk = Buffer.alloc(64 * 1024);
    const more = (): void => {
      for (; written < 512 * 1024 * 1024; written += chunk.length) {
        if (response.write(chunk)) continue;
        response.once('drain', more);
        blocked.resolve();
        return;
      }
    };
    more();
  });
  await fixture.expose(8081, server);
  const connection = await h2.rawH2(t, fixture);
  connection.send(frame(h2.HEADERS, whole, 1, request(fixture, { 'x-aws-proxy-port': '8081' })));
  await blocked.promise;
  await connection.next(() => connection.content(1).length === 65_535);
  for (let round = 0; round < 50; round += 1) assert.ok(await connection.settle());
  assert.equal(connection.content(1).length, 65_535);
  // What the kernel's buffers take, and no more.
  assert.ok(written < 64 * 1024 * 1024, `${written} bytes`);
});

test('an upload waits for an application that does not take it, and others go on', async (t) => {
  const fixture = await start(t, {
    limits: { streamWindowBytes: 1024 * 1024, connectionWindowBytes: 4 * 1024 * 1024 },
  });
  const accepted = Promise.withResolvers<net.Socket>();
  await fixture.expose(
    82,
    net.createServer({ pauseOnConnect: true }, (socket) => accepted.resolve(socket)),
  );
  const session = await h2Session(t, fixture);
  const stream = session.request(h2Headers(fixture, { ':method': 'POST', 'x-aws-proxy-port': '82' }));
  stream.on('error', () => undefined);
  const bytes = 64 * 1024 * 1024;
  const block = Buffer.alloc(64 * 1024);
  const upload = async (): Promise<void> => {
    for (let sent = 0; sent < bytes; sent += block.length) {
      if (!stream.write(block)) await once(stream, 'drain');
    }
  };
  const uploaded = upload();
  const socket = await accepted.promise;
  const other = session.request(h2Headers(fixture, { ':method': 'POST' }));
  other.end(Buffer.alloc(200_000));
  assert.equal(String((await once(other, 'data'))[0]), 'ok');
  // All of it arrives once it is taken.
  let received = 0;
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  socket.resume();
  await uploaded;
  while (received < bytes) await once(socket, 'data');
  stream.close();
});
