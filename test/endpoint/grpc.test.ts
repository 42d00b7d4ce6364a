import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import { compose, Transform } from 'node:stream';
import { test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { ask, askH2, h2Headers, h2Session, noAnswer, startEndpoint } from './fixture.ts';
import { definition, identity, startEcho } from './grpc-echo.ts';

test('gRPC: unary, with metadata, trailers and status', async (t) => {
  const { client, metadata } = await startEcho(t);
  const reply = Promise.withResolvers<Buffer | undefined>();
  const call = client.makeUnaryRequest(
    definition.Unary.path,
    identity,
    identity,
    Buffer.from('hello'),
    metadata,
    (error, value) => (error === null ? reply.resolve(value) : reply.reject(error)),
  );
  const [status] = await once(call, 'status');
  assert.equal(String(await reply.promise), 'hello');
  assert.equal(status.code, grpc.status.OK);
  assert.deepEqual(status.metadata.get('x-seen'), ['metadata']);
  assert.deepEqual(status.metadata.get('x-token-seen'), ['0']);

  const failed = Promise.withResolvers<grpc.ServiceError | null>();
  client.makeUnaryRequest(
    definition.Unary.path,
    identity,
    identity,
    Buffer.from('fail'),
    metadata,
    failed.resolve,
  );
  const error = await failed.promise;
  assert.deepEqual([error?.code, error?.details], [grpc.status.FAILED_PRECONDITION, 'as you wish']);
});

test('gRPC: streams in every direction', async (t) => {
  const { fixture, client, metadata } = await startEcho(t);
  const collected = Promise.withResolvers<Buffer | undefined>();
  const upload = client.makeClientStreamRequest(
    definition.Collect.path,
    identity,
    identity,
    metadata,
    (error, value) => (error === null ? collected.resolve(value) : collected.reject(error)),
  );
  for (let index = 0; index < 100; index += 1) upload.write(Buffer.alloc(10_000, index));
  upload.end();
  assert.equal((await collected.promise)?.length, 1_000_000);

  const download = client.makeServerStreamRequest(
    definition.Repeat.path,
    identity,
    identity,
    Buffer.from('again'),
    metadata,
  );
  let parts = 0;
  for await (const part of download) {
    assert.equal(String(part), 'again');
    parts += 1;
  }
  assert.equal(parts, 100);

  const chat = client.makeBidiStreamRequest(definition.Chat.path, identity, identity, metadata);
  for (const word of ['one', 'two', 'three']) {
    chat.write(Buffer.from(word));
    assert.equal(String((await once(chat, 'data'))[0]), word);
  }
  chat.end();
  const [status] = await once(chat, 'status');
  assert.equal(status.code, grpc.status.OK);
  assert.equal(fixture.connections.length, 1, 'calls share one HTTP/2 connection into the microVM');
});

test('HTTP/2 to the application is used on request, and an HTTP/1.1 application is then answered for with 502', async (t) => {
  const fixture = await startEndpoint(t);
  const modern = http2.createServer((request, response) => {
    response.end(`HTTP/${request.httpVersion} ${request.headers['x-aws-proxy-force-h2'] ?? 'stripped'}`);
  });
  await fixture.expose(8080, modern);
  await fixture.expose(
    8081,
    http.createServer((_request, response) => response.end('old')),
  );
  const force = { 'x-aws-proxy-force-h2': 'true' };
  const session = await h2Session(t, fixture);
  assert.equal((await ask(fixture, { headers: force })).body, 'HTTP/2.0 stripped');
  assert.equal((await askH2(session, h2Headers(fixture, force))).body, 'HTTP/2.0 stripped');
  const old = { ...force, 'x-aws-proxy-port': '8081' };
  for (const answer of [
    await ask(fixture, { headers: old }),
    await askH2(session, h2Headers(fixture, old)),
  ]) {
    assert.deepEqual([answer.status, answer.body], [502, noAnswer]);
  }
});

test('an answer over HTTP/2 whose head and body come from the guest at once begins with its head', async (t) => {
  let together = false;
  const fixture = await startEndpoint(t, {
    async connect(_port, _signal, dial) {
      const inside = await dial();
      let held = Buffer.alloc(0);
      const gather = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          held = Buffer.concat([held, chunk]);
          if (together && !held.includes('begun')) return done();
          together = false;
          done(null, held);
          held = Buffer.alloc(0);
        },
      });
      return compose(inside, gather);
    },
  });
  const modern = http2.createServer((_request, response) => {
    together = true;
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.write('begun');
    setImmediate(() => response.end());
  });
  await fixture.expose(8080, modern);
  const session = await h2Session(t, fixture);
  const answer = await askH2(session, h2Headers(fixture, { 'x-aws-proxy-force-h2': 'true' }));
  assert.deepEqual([answer.status, answer.body], [200, 'begun']);
});
