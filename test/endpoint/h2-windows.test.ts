/** Windows, and streams that end before their time, frame by frame. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { type TestContext, test } from 'node:test';
import { type Fixture, startEndpoint } from './fixture.ts';
import * as h2 from './raw-h2.ts';

const { frame, word, setting, request } = h2;
const whole = h2.END_HEADERS | h2.END_STREAM;

const get = (fixture: Fixture, id: number): Buffer => frame(h2.HEADERS, whole, id, request(fixture));
const post = (fixture: Fixture, id: number, replaced: Record<string, string> = {}): Buffer =>
  frame(h2.HEADERS, h2.END_HEADERS, id, request(fixture, { ':method': 'POST', ...replaced }));

async function start(t: TestContext): Promise<Fixture> {
  const fixture = await startEndpoint(t, {
    limits: { streamWindowBytes: 100_000, connectionWindowBytes: 150_000 },
  });
  await fixture.expose(
    8080,
    http.createServer((message, response) => message.resume().on('end', () => response.end('ok'))),
  );
  return fixture;
}

test('padding counts and is given back', async (t) => {
  const fixture = await start(t);
  const connection = await h2.rawH2(t, fixture);
  connection.send(post(fixture, 1));
  // Five times the window of the stream, a byte of it content.
  for (let round = 0; round < 2000; round += 1) {
    connection.send(frame(h2.DATA, h2.PADDED, 1, Buffer.concat([Buffer.of(250, 120), Buffer.alloc(250)])));
    if (round % 100 === 99) assert.ok(await connection.settle());
  }
  connection.send(frame(h2.DATA, h2.END_STREAM, 1));
  const answer = await connection.next(({ type, id }) => type === h2.DATA && id === 1);
  assert.equal(String(answer?.payload), 'ok');
});

test('what a client sends to a stream that was reset under it does no harm, and takes no window away', async (t) => {
  const fixture = await start(t);
  const connection = await h2.rawH2(t, fixture);
  for (let id = 1; id < 41; id += 2) {
    connection.send(post(fixture, id, { 'x-aws-proxy-auth': 'none' }));
    await connection.next((got) => got.type === h2.RST_STREAM && got.id === id);
    connection.send(frame(h2.DATA, 0, id, Buffer.alloc(16_000)));
    connection.send(frame(h2.WINDOW_UPDATE, 0, id, word(1000)));
    connection.send(frame(h2.HEADERS, whole, id, h2.block(['x-sum', '1'])));
  }
  connection.send(get(fixture, 101));
  const answer = await connection.next(({ type, id }) => type === h2.DATA && id === 101);
  assert.equal(String(answer?.payload), 'ok');
});

test('windows of the client are kept to the byte, and may be none', async (t) => {
  const fixture = await start(t);
  const server = http.createServer((_request, response) => response.end('0123456789'));
  await fixture.expose(8081, server);
  const connection = await h2.rawH2(t, fixture);
  connection.send(frame(h2.SETTINGS, 0, 0, setting(4, 0)));
  const head = request(fixture, { 'x-aws-proxy-port': '8081' });
  connection.send(frame(h2.HEADERS, whole, 1, head));
  await connection.next(({ type }) => type === h2.HEADERS);
  assert.ok(await connection.settle());
  assert.equal(connection.content(1).length, 0);
  connection.send(frame(h2.WINDOW_UPDATE, 0, 1, word(3)));
  await connection.next(({ type }) => type === h2.DATA);
  assert.ok(await connection.settle());
  assert.equal(String(connection.content(1)), '012');
  // A window may become less than nothing, and has to be opened by so much more.
  connection.send(frame(h2.SETTINGS, 0, 0, setting(4, 5)), frame(h2.SETTINGS, 0, 0, setting(4, 0)));
  await connection.next(() => connection.content(1).length === 8);
  connection.send(frame(h2.WINDOW_UPDATE, 0, 1, word(5)));
  assert.ok(await connection.settle());
  assert.equal(connection.content(1).length, 8);
  connection.send(frame(h2.WINDOW_UPDATE, 0, 1, word(2)));
  const last = await connection.next(({ type, flags }) => type === h2.DATA && (flags & h2.END_STREAM) !== 0);
  assert.equal(String(last?.payload), '89');
  assert.equal(String(connection.content(1)), '0123456789');
});

test('a server that is stopped says goodbye with the last stream that it took on', async (t) => {
  const fixture = await start(t);
  const server = http.createServer();
  await fixture.expose(81, server);
  const connection = await h2.rawH2(t, fixture);
  const arrived = once(server, 'request');
  connection.send(frame(h2.HEADERS, whole, 7, request(fixture, { 'x-aws-proxy-port': '81' })));
  await arrived;
  void fixture.endpoint.close();
  const goaway = await connection.next(({ type }) => type === h2.GOAWAY);
  assert.deepEqual([goaway?.payload.readUInt32BE(0), h2.codeOf(goaway)], [7, h2.NO_ERROR]);
  await connection.untilEnded();
});
