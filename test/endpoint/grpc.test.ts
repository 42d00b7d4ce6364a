import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { ask, askH2, type Fixture, h2Headers, h2Session, startEndpoint } from './fixture.ts';

const identity = (value: Buffer): Buffer => value;
const codec = {
  requestSerialize: identity,
  requestDeserialize: identity,
  responseSerialize: identity,
  responseDeserialize: identity,
};
const definition = {
  Unary: { path: '/test.Echo/Unary', requestStream: false, responseStream: false, ...codec },
  Collect: { path: '/test.Echo/Collect', requestStream: true, responseStream: false, ...codec },
  Repeat: { path: '/test.Echo/Repeat', requestStream: false, responseStream: true, ...codec },
  Chat: { path: '/test.Echo/Chat', requestStream: true, responseStream: true, ...codec },
};

/** A gRPC server as a port of the microVM, and a gRPC client of the endpoint. */
async function startEcho(
  t: TestContext,
): Promise<{ fixture: Fixture; client: grpc.Client; metadata: grpc.Metadata }> {
  const server = new grpc.Server();
  server.addService(definition, {
    Unary(call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) {
      if (call.request.toString() === 'fail') {
        return done({ code: grpc.status.FAILED_PRECONDITION, details: 'as you wish' });
      }
      const trailers = new grpc.Metadata();
      trailers.set('x-seen', String(call.metadata.get('x-mine')[0]));
      trailers.set('x-token-seen', String(call.metadata.get('x-aws-proxy-auth').length));
      done(null, call.request, trailers);
    },
    Collect(call: grpc.ServerReadableStream<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) {
      const parts: Buffer[] = [];
      call.on('data', (part: Buffer) => parts.push(part));
      call.on('end', () => done(null, Buffer.concat(parts)));
    },
    Repeat(call: grpc.ServerWritableStream<Buffer, Buffer>) {
      for (let index = 0; index < 100; index += 1) call.write(call.request);
      call.end();
    },
    Chat(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
      call.on('data', (part: Buffer) => call.write(part));
      call.on('end', () => call.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  t.after(() => server.forceShutdown());
  const fixture = await startEndpoint(t);
  fixture.exposePort(8080, port);
  const client = new grpc.Client(
    `127.0.0.1:${fixture.port}`,
    grpc.credentials.createSsl(Buffer.from(fixture.ca)),
    { 'grpc.ssl_target_name_override': fixture.host, 'grpc.default_authority': fixture.host },
  );
  t.after(() => client.close());
  const metadata = new grpc.Metadata();
  metadata.set('x-aws-proxy-auth', fixture.token);
  metadata.set('x-mine', 'metadata');
  return { fixture, client, metadata };
}

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
    assert.deepEqual([answer.status, answer.body], [502, '']);
  }
});
