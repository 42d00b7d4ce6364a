import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { test } from 'node:test';
import { ask, askH2, h2Headers, h2Session, rawConnection, startEndpoint } from './fixture.ts';

test('events arrive while the response goes on', async (t) => {
  const fixture = await startEndpoint(t);
  let next: (() => void) | undefined;
  await fixture.expose(
    8080,
    http.createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: 1\n\n');
      next = () => response.end('data: 2\n\n');
    }),
  );
  const session = await h2Session(t, fixture);
  const stream = session.request(h2Headers(fixture));
  const [first] = await once(stream, 'data');
  assert.equal(String(first), 'data: 1\n\n');
  next?.();
  const [second] = await once(stream, 'data');
  assert.equal(String(second), 'data: 2\n\n');

  const request = https.get({
    host: '127.0.0.1',
    port: fixture.port,
    servername: fixture.host,
    ca: fixture.ca,
    agent: false,
    headers: { host: fixture.host, 'x-aws-proxy-auth': fixture.token },
  });
  const [response] = await once(request, 'response');
  assert.equal(String((await once(response, 'data'))[0]), 'data: 1\n\n');
  next?.();
  assert.equal(String((await once(response, 'data'))[0]), 'data: 2\n\n');
});

test('large bodies pass unchanged in both directions and versions', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(
    8080,
    http.createServer((request, response) => request.pipe(response)),
  );
  const body = Buffer.alloc(8_000_000, 'dormouse');
  const session = await h2Session(t, fixture);
  for (const answer of [
    await ask(fixture, { method: 'POST', body }),
    await ask(fixture, { method: 'POST', body, headers: { 'transfer-encoding': 'chunked' } }),
    await askH2(session, h2Headers(fixture, { ':method': 'POST' }), body),
  ]) {
    assert.equal(answer.status, 200);
    assert.ok(answer.body === body.toString());
  }
});

test('trailers pass in both directions', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(
    8080,
    http.createServer((request, response) => {
      request.resume().on('end', () => {
        response.writeHead(200, { trailer: 'x-sum' });
        response.write('body');
        response.addTrailers({
          'x-sum': String(request.trailers['x-client']),
          'x-aws-proxy-error': 'forged',
        });
        response.end();
      });
    }),
  );
  const session = await h2Session(t, fixture);
  const stream = session.request(h2Headers(fixture, { ':method': 'POST' }), { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-client': 'h2', 'x-aws-proxy-auth': 'no' }));
  stream.resume().end('data');
  const [trailers] = await once(stream, 'trailers');
  assert.deepEqual(Object.entries(trailers), [['x-sum', 'h2']]);

  const socket = await rawConnection(fixture);
  let received = '';
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString();
  });
  socket.write(
    `POST / HTTP/1.1\r\nHost: ${fixture.host}\r\nX-Aws-Proxy-Auth: ${fixture.token}\r\nConnection: close\r\n` +
      'Transfer-Encoding: chunked\r\n\r\n4\r\ndata\r\n0\r\nX-Client: h1\r\nHost: evil\r\n\r\n',
  );
  await once(socket, 'end');
  assert.match(received, /\r\n0\r\nx-sum: h1\r\n\r\n$/);
});

test('informational responses and Expect: 100-continue pass', async (t) => {
  const fixture = await startEndpoint(t);
  const server = http.createServer((_request, response) => {
    response.writeEarlyHints({ link: '</a.css>; rel=preload' });
    response.end('hinted');
  });
  server.on('checkContinue', (request, response) => {
    if (request.url === '/refuse') return response.writeHead(413).end('too large');
    response.writeContinue();
    request.pipe(response);
  });
  await fixture.expose(8080, server);
  const session = await h2Session(t, fixture);
  assert.deepEqual((await ask(fixture)).informational, [103]);
  assert.deepEqual((await askH2(session, h2Headers(fixture))).informational, [103]);

  const expecting = { method: 'POST', headers: { expect: '100-continue' }, body: 'x' };
  const accepted = await ask(fixture, expecting);
  assert.deepEqual([accepted.status, accepted.body, accepted.informational], [200, 'x', [100]]);
  const socket = await rawConnection(fixture);
  const head = (path: string): string =>
    `POST ${path} HTTP/1.1\r\nHost: ${fixture.host}\r\nX-Aws-Proxy-Auth: ${fixture.token}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n`;
  socket.write(head('/'));
  assert.equal(String((await once(socket, 'data'))[0]), 'HTTP/1.1 100 Continue\r\n\r\n');
  socket.write('body');
  assert.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 200 OK\r\n/);
  socket.destroy();
  const refused = await rawConnection(fixture);
  refused.write(head('/refuse'));
  assert.match(String((await once(refused, 'data'))[0]), /^HTTP\/1\.1 413 /);
  refused.destroy();
});

test('HEAD, 204 and 304 have no body and keep their headers', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(
    8080,
    http.createServer((request, response) => {
      if (request.url === '/204') response.writeHead(204).end();
      else if (request.url === '/304') response.writeHead(304, { etag: '"x"' }).end();
      else response.writeHead(200, { 'content-length': '11' }).end('hello world');
    }),
  );
  const session = await h2Session(t, fixture);
  for (const send of [
    (method: string, path: string) => ask(fixture, { method, path }),
    (method: string, path: string) =>
      askH2(session, h2Headers(fixture, { ':method': method, ':path': path })),
  ]) {
    const head = await send('HEAD', '/');
    assert.deepEqual([head.status, head.headers['content-length'], head.body], [200, '11', '']);
    assert.deepEqual(
      [(await send('GET', '/204')).status, (await send('GET', '/304')).headers.etag],
      [204, '"x"'],
    );
    assert.equal((await send('GET', '/')).body, 'hello world');
  }
});

test('a body without length ends with the connection', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(
    8080,
    net.createServer((socket) => {
      socket.once('data', () =>
        socket.end('HTTP/1.0 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nto the end'),
      );
    }),
  );
  const answer = await ask(fixture);
  assert.equal(answer.body, 'to the end');
  assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2']);
  const overH2 = await askH2(await h2Session(t, fixture), h2Headers(fixture));
  assert.equal(overH2.body, 'to the end');
  assert.deepEqual(overH2.headers['set-cookie'], ['a=1', 'b=2']);
});

test('a client that does not read stops the application, in memory bounds', async (t) => {
  const fixture = await startEndpoint(t);
  const stalled = Promise.withResolvers<void>();
  await fixture.expose(
    8080,
    http.createServer((_request, response) => {
      const chunk = Buffer.alloc(64 * 1024);
      const more = (): void => {
        while (response.write(chunk));
        const timer = setTimeout(stalled.resolve, 1000);
        response.once('drain', () => {
          clearTimeout(timer);
          more();
        });
      };
      more();
    }),
  );
  const request = https.get({
    host: '127.0.0.1',
    port: fixture.port,
    servername: fixture.host,
    ca: fixture.ca,
    agent: false,
    headers: { host: fixture.host, 'x-aws-proxy-auth': fixture.token },
  });
  const [response] = await once(request, 'response');
  response.pause();
  await stalled.promise;
  const pulled = fixture.connections[0] instanceof net.Socket ? fixture.connections[0].bytesRead : Infinity;
  // What sockets of this machine hold, and a few buffers of ours.
  assert.ok(pulled < 16_000_000, `the endpoint took ${pulled} bytes for a client that reads none`);
  assert.ok(pulled > 0);
  request.destroy();
});

test('an application that does not read stops the client', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(8080, net.createServer({ pauseOnConnect: true }));
  const request = https.request({
    host: '127.0.0.1',
    port: fixture.port,
    servername: fixture.host,
    ca: fixture.ca,
    agent: false,
    method: 'POST',
    headers: { host: fixture.host, 'x-aws-proxy-auth': fixture.token },
  });
  request.on('error', () => undefined);
  const chunk = Buffer.alloc(64 * 1024);
  let sent = 0;
  for (let open = true; open; ) {
    sent += chunk.length;
    if (request.write(chunk)) continue;
    const drained = Promise.race([once(request, 'drain').then(() => true), stall(1000)]);
    open = await drained;
  }
  assert.ok(sent < 32_000_000, `${sent} bytes went to an application that reads none`);
  request.destroy();
});

/** Resolves to false: nothing has happened for so long. */
async function stall(ms: number): Promise<boolean> {
  return await new Promise((resolve) => setTimeout(resolve, ms, false));
}

test('a client that leaves ends its request inside the microVM', async (t) => {
  const fixture = await startEndpoint(t);
  const gone = Promise.withResolvers<void>();
  const server = http.createServer((_request, response) => {
    response.write('begun');
    response.once('close', gone.resolve);
  });
  await fixture.expose(8080, server);
  const session = await h2Session(t, fixture);
  const stream = session.request(h2Headers(fixture));
  stream.on('error', () => undefined);
  await once(stream, 'data');
  const inside = fixture.connections[0];
  assert.ok(inside);
  stream.close(8);
  await Promise.all([gone.promise, once(inside, 'close')]);

  const overH1 = https.get({
    host: '127.0.0.1',
    port: fixture.port,
    servername: fixture.host,
    ca: fixture.ca,
    agent: false,
    headers: { host: fixture.host, 'x-aws-proxy-auth': fixture.token },
  });
  overH1.on('error', () => undefined);
  await once(overH1, 'response');
  const second = fixture.connections[1];
  assert.ok(second);
  overH1.destroy();
  await once(second, 'close');
});

test('an application that breaks off breaks the response off', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(
    8080,
    http.createServer((_request, response) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('some', () => response.destroy());
    }),
  );
  await assert.rejects(ask(fixture), /aborted|hang up|ECONNRESET/);
  const stream = (await h2Session(t, fixture)).request(h2Headers(fixture));
  stream.resume();
  const [error] = await once(stream, 'error');
  assert.match(String(error), /NGHTTP2_INTERNAL_ERROR/);
});

test('an answer before the end of the request is delivered', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(
    8080,
    http.createServer((_request, response) => response.writeHead(403, { connection: 'close' }).end('early')),
  );
  const session = await h2Session(t, fixture);
  const stream = session.request(h2Headers(fixture, { ':method': 'POST' }));
  stream.on('error', () => undefined);
  stream.write('never ended');
  const [head] = await once(stream, 'response');
  assert.equal(head[':status'], 403);
  assert.equal(String((await once(stream, 'data'))[0]), 'early');
  await once(stream, 'close');
});
