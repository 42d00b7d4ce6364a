import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { test } from 'node:test';
import { h2Headers, h2Session, startEndpoint } from './fixture.ts';

test('trailers that a request announces reach an HTTP/1.1 application, a length or not', async (t) => {
  const fixture = await startEndpoint(t);
  const seen: unknown[] = [];
  const server = http.createServer((request, response) => {
    request.resume().on('end', () => {
      const { 'content-length': length, 'transfer-encoding': coding } = request.headers;
      seen.push([length, coding, request.rawTrailers]);
      response.end('ok');
    });
  });
  await fixture.expose(8080, server);
  const session = await h2Session(t, fixture);
  for (const headers of [
    { trailer: 'x-sum', 'content-length': '4' },
    { trailer: 'x-sum' },
    { 'content-length': '4' },
  ]) {
    const stream = session.request(h2Headers(fixture, { ':method': 'POST', ...headers }), {
      waitForTrailers: true,
    });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '42' }));
    stream.end('body');
    await once(stream.resume(), 'close');
  }
  assert.deepEqual(seen, [
    [undefined, 'chunked', ['x-sum', '42']],
    [undefined, 'chunked', ['x-sum', '42']],
    // HTTP/1.1 has no place for them.
    ['4', undefined, []],
  ]);
});

test('each direction of a tunnel over HTTP/2 ends by itself, and loses nothing', async (t) => {
  const fixture = await startEndpoint(t);
  const accepted = Promise.withResolvers<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
    accepted.resolve(socket),
  );
  await fixture.expose(6379, server);
  const session = await h2Session(t, fixture);
  const stream = session.request(
    h2Headers(fixture, {
      ':method': 'CONNECT',
      ':protocol': 'dormouse-tcp',
      ':scheme': 'https',
      ':path': '/dormouse/v1/tunnel?port=6379',
    }),
  );
  const [head] = await once(stream, 'response');
  assert.equal(head[':status'], 200);
  const socket = await accepted.promise;
  // The application ends its side first, and reads only then: what was sent by then waits in the endpoint.
  const sent = Buffer.alloc(3_000_000, 'dormouse');
  stream.end(sent);
  socket.end('farewell');
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(stream, 'end');
  assert.equal(String(Buffer.concat(chunks)), 'farewell');
  const received: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => received.push(chunk));
  socket.resume();
  await once(socket, 'end');
  assert.ok(Buffer.concat(received).equals(sent));
  if (!stream.closed) await once(stream, 'close');
  assert.equal(stream.rstCode, 0);
});
