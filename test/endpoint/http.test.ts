import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { ask, askH2, h2Headers, h2Session, startEndpoint } from './fixture.ts';

/** Answers with what it was sent. */
function mirror(): http.Server {
  return http.createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({
        method: request.method,
        url: request.url,
        headers: request.headers,
        trailers: request.trailers,
        body: Buffer.concat(chunks).toString(),
      }),
    );
  });
}

test('a request over HTTP/1.1 reaches port 8080 as the client sent it', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(8080, mirror());
  const answer = await ask(fixture, {
    method: 'POST',
    path: '/a%20b?c=d',
    headers: { 'x-mine': 'yes', 'x-aws-proxy-anything': 'reserved', traceparent: '00-1-2-03' },
    body: 'hello',
  });
  assert.equal(answer.status, 200);
  const seen = JSON.parse(answer.body);
  assert.equal(seen.method, 'POST');
  assert.equal(seen.url, '/a%20b?c=d');
  assert.equal(seen.body, 'hello');
  assert.equal(seen.headers.host, fixture.host);
  assert.equal(seen.headers['x-mine'], 'yes');
  assert.equal(seen.headers.traceparent, '00-1-2-03');
  assert.deepEqual(
    Object.keys(seen.headers).filter((name) => /^x-(aws-proxy|forwarded)/.test(name)),
    [],
  );
  assert.match(seen.headers['x-amzn-requestid'], /^[0-9a-f-]{36}$/);
  assert.equal(answer.headers['x-amzn-requestid'], seen.headers['x-amzn-requestid']);
});

test('a request over HTTP/2 reaches an HTTP/1.1 application', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(8080, mirror());
  const session = await h2Session(t, fixture);
  const answer = await askH2(
    session,
    h2Headers(fixture, { ':method': 'POST', ':path': '/x', cookie: ['a=1', 'b=2'] }),
    'hello',
  );
  assert.equal(answer.status, 200);
  const seen = JSON.parse(answer.body);
  assert.equal(seen.body, 'hello');
  assert.equal(seen.headers.host, fixture.host);
  assert.equal(seen.headers.cookie, 'a=1; b=2');
  assert.equal(answer.headers['x-amzn-requestid'], seen.headers['x-amzn-requestid']);
});
