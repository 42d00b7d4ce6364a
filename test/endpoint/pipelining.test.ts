import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { test } from 'node:test';
import fc from 'fast-check';
import { until } from '../support/until.ts';
import { ask, askH2, h2Headers, h2Session, rawConnection, startEndpoint } from './fixture.ts';

/** Answers with method, path and body of the request, as soon or as late as the path says. */
function mirror(): http.Server {
  return http.createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += String(chunk);
    });
    request.on('end', () => {
      const answer = `${request.method} ${request.url} ${body}\n`;
      if (request.url?.includes('late') === true) setImmediate(() => response.end(answer));
      else if (request.url?.includes('pieces') === true) {
        response.write(answer.slice(0, 3));
        response.end(answer.slice(3));
      } else response.end(answer);
    });
  });
}

test('pipelined requests are answered in order, however their bytes come', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(8080, mirror());
  const head = `Host: ${fixture.host}\r\nX-Aws-Proxy-Auth: ${fixture.token}\r\n`;
  const requests = [
    [`GET /late/1 HTTP/1.1\r\n${head}\r\n`, 'GET /late/1 \n'],
    [`POST /2 HTTP/1.1\r\n${head}Content-Length: 5\r\n\r\nhello`, 'POST /2 hello\n'],
    [
      `\r\nPOST /pieces/3 HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n`,
      'POST /pieces/3 abcde\n',
    ],
    [`GET /4 HTTP/1.1\r\n${head}\r\n`, 'GET /4 \n'],
    [`GET /refused HTTP/1.1\r\nHost: ${fixture.host}\r\n\r\n`, 'Request missing authentication'],
    [`DELETE /pieces/5 HTTP/1.1\r\n${head}Connection: close\r\n\r\n`, 'DELETE /pieces/5 \n'],
  ] as const;
  const bytes = Buffer.from(requests.map(([request]) => request).join(''));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat({ max: bytes.length }), { maxLength: 10 }), async (cuts) => {
      const socket = await rawConnection(fixture);
      let received = '';
      socket.on('data', (chunk: Buffer) => {
        received += chunk.toString('latin1');
      });
      const places = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
      for (const [index, from] of places.slice(0, -1).entries()) {
        const piece = bytes.subarray(from, places[index + 1]);
        if (piece.length > 0) await new Promise<void>((resolve) => socket.write(piece, () => resolve()));
      }
      await once(socket, 'end');
      socket.destroy();
      const answers = received.split('HTTP/1.1 ').slice(1);
      assert.equal(answers.length, requests.length);
      for (const [index, answer] of answers.entries()) {
        // Without what the chunked coding puts between the pieces.
        const body = answer.slice(answer.indexOf('\r\n\r\n') + 4).replaceAll(/[0-9a-f]+\r\n|\r\n/g, '');
        assert.equal(body, requests[index]?.[1].replaceAll(/\r\n/g, ''));
      }
    }),
    // The empty line before the third request, cut in two.
    { numRuns: 25, examples: [[[bytes.indexOf('hello\r') + 6]]] },
  );
});

test('a request that breaks off in its body is not completed for the application', async (t) => {
  const fixture = await startEndpoint(t);
  const outcome = Promise.withResolvers<string>();
  await fixture.expose(
    8080,
    http.createServer((request) => {
      request.once('end', () => outcome.resolve('complete'));
      request.once('error', () => outcome.resolve('broken off'));
      request.resume();
    }),
  );
  const socket = await rawConnection(fixture);
  socket.write(
    `POST / HTTP/1.1\r\nHost: ${fixture.host}\r\nX-Aws-Proxy-Auth: ${fixture.token}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`,
  );
  // Once the application has the beginning, the rest is nonsense.
  await until('the application has it', () => fixture.connections.length > 0);
  socket.write('zz\r\n');
  const [answer] = await once(socket, 'data');
  assert.match(String(answer), /^HTTP\/1\.1 400 [\s\S]*\r\nConnection: close\r\n/);
  assert.equal(await outcome.promise, 'broken off');
  socket.destroy();
});

test('HTTP/1.0 is answered in HTTP/1.0 terms', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(8080, mirror());
  const socket = await rawConnection(fixture);
  let received = '';
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1');
  });
  const head = `Host: ${fixture.host}\r\nX-Aws-Proxy-Auth: ${fixture.token}\r\n`;
  socket.write(`GET /1 HTTP/1.0\r\n${head}Connection: keep-alive\r\n\r\n`);
  while (!received.endsWith('\n')) await once(socket, 'data');
  assert.match(received, /\r\nConnection: keep-alive\r\n/);
  received = '';
  socket.write(`GET /pieces HTTP/1.0\r\n${head}Connection: keep-alive\r\n\r\n`);
  await once(socket, 'end');
  // Without a length only the end of the connection ends the body.
  assert.match(received, /\r\nConnection: close\r\n\r\nGET \/pieces \n$/);
  assert.doesNotMatch(received, /chunked/);
  socket.destroy();
});

test('a request with an empty body does not cost its connection into the microVM', async (t) => {
  const fixture = await startEndpoint(t, { limits: { upstreamIdleMs: 60_000 } });
  await fixture.expose(8080, mirror());
  const session = await h2Session(t, fixture);
  for (const answer of [
    await ask(fixture, { method: 'POST', path: '/1', headers: { 'content-length': 0 } }),
    await askH2(session, h2Headers(fixture, { ':method': 'POST', ':path': '/2', 'content-length': '0' })),
  ]) {
    assert.equal(answer.status, 200);
    // One that may be sent twice takes a connection however long it was idle.
    assert.equal((await ask(fixture, { path: '/3' })).body, 'GET /3 \n');
  }
  const kept = fixture.connections.filter((connection) => !connection.destroyed);
  assert.equal(kept.length, fixture.connections.length);
});
