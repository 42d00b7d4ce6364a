import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { definition, type Echo, identity, startEcho } from './grpc-echo.ts';

interface Outcome {
  readonly status: grpc.StatusObject;
  readonly value: Buffer | undefined;
}

/** How a call ends; its error, which comes before, says the same. */
async function ending(call: grpc.ClientReadableStream<Buffer>): Promise<grpc.StatusObject> {
  const { promise, resolve } = Promise.withResolvers<grpc.StatusObject>();
  call.on('error', () => undefined);
  call.once('status', resolve);
  return await promise;
}

/** One unary call to its end, whatever that is. */
async function unary(
  { client, metadata }: Pick<Echo, 'client' | 'metadata'>,
  method: 'Unary' | 'Status',
  request: Buffer | string,
  options: grpc.CallOptions = {},
): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Buffer | undefined>();
  const call = client.makeUnaryRequest(
    definition[method].path,
    identity,
    identity,
    Buffer.from(request),
    metadata,
    options,
    (_error, value) => resolve(value),
  );
  const [status] = await once(call, 'status');
  return { status: status as grpc.StatusObject, value: await promise };
}

test('gRPC: every status arrives with its details and its binary metadata', async (t) => {
  const echo = await startEcho(t);
  const data = Buffer.from([0, 255, 10, 13, 128]);
  echo.metadata.set('x-data-bin', data);
  for (let code = 0; code <= 16; code += 1) {
    const details = code === 0 ? '' : `why: ${code} λ%\n`;
    const { status, value } = await unary(echo, 'Status', `${code} ${details}`);
    assert.deepEqual([status.code, status.metadata.get('x-data-bin')], [code, [data]]);
    if (code === 0) assert.equal(String(value), '0 ');
    else assert.equal(status.details, details);
  }
  const unknown = { ...definition.Unary, path: '/test.Echo/Missing' };
  const call = echo.client.makeUnaryRequest(
    ...([unknown.path, identity, identity, Buffer.alloc(0), echo.metadata, () => undefined] as const),
  );
  assert.equal((await once(call, 'status'))[0].code, grpc.status.UNIMPLEMENTED);
  assert.equal(echo.fixture.connections.length, 1);
});

test('gRPC: a deadline passes, and ends the call on both sides', async (t) => {
  const echo = await startEcho(t);
  const abandoned = echo.abandoned();
  const call = echo.client.makeServerStreamRequest(
    definition.Hang.path,
    identity,
    identity,
    Buffer.from('begun'),
    echo.metadata,
    { deadline: Date.now() + 1500 },
  );
  const ended = ending(call);
  assert.equal(String((await once(call, 'data'))[0]), 'begun');
  assert.equal((await ended).code, grpc.status.DEADLINE_EXCEEDED);
  const inside = await abandoned;
  assert.ok(Number(inside.getDeadline()) < Date.now() + 1500, 'the application was told of it');
});

test('gRPC: a call that is cancelled is cancelled in the application', async (t) => {
  const echo = await startEcho(t);
  const abandoned = echo.abandoned();
  const call = echo.client.makeServerStreamRequest(
    definition.Hang.path,
    identity,
    identity,
    Buffer.from('begun'),
    echo.metadata,
  );
  const ended = ending(call);
  await once(call, 'data');
  call.cancel();
  assert.equal((await ended).code, grpc.status.CANCELLED);
  assert.ok((await abandoned).cancelled);
  assert.equal((await unary(echo, 'Unary', 'next')).status.code, grpc.status.OK, 'others go on');
});

test('gRPC: large messages pass, and those that the peer finds too large are its to refuse', async (t) => {
  const echo = await startEcho(t);
  const large = Buffer.alloc(4 * 1024 * 1024, 'dormouse');
  const { value } = await unary(echo, 'Unary', large);
  assert.ok(value?.equals(large));
  const { status } = await unary(echo, 'Unary', Buffer.alloc(large.length + 1));
  assert.equal(status.code, grpc.status.RESOURCE_EXHAUSTED);
});

test('gRPC: compressed messages pass in both directions', async (t) => {
  const echo = await startEcho(t);
  for (const algorithm of [grpc.compressionAlgorithms.gzip, grpc.compressionAlgorithms.deflate]) {
    const client = echo.connect({ 'grpc.default_compression_algorithm': algorithm });
    const message = Buffer.alloc(500_000, 'squeeze');
    const { value } = await unary({ ...echo, client }, 'Unary', message);
    assert.ok(value?.equals(message));
  }
});

test('gRPC: what the proxy refuses becomes the status that clients know', async (t) => {
  const echo = await startEcho(t);
  const refused = new grpc.Metadata();
  assert.equal(
    (await unary({ ...echo, metadata: refused }, 'Unary', '')).status.code,
    grpc.status.PERMISSION_DENIED,
  );
  const elsewhere = echo.metadata.clone();
  elsewhere.set('x-aws-proxy-port', '8081');
  assert.equal(
    (await unary({ ...echo, metadata: elsewhere }, 'Unary', '')).status.code,
    grpc.status.UNAVAILABLE,
  );
});

test('gRPC: a call ends with the microVM, and the next one wakes it over the same channel', async (t) => {
  const awake = Promise.withResolvers<void>();
  let asleep = false;
  const arrived = Promise.withResolvers<void>();
  const echo = await startEcho(t, {
    async connect(_port, _signal, dial) {
      if (asleep) {
        arrived.resolve();
        await awake.promise;
      }
      return await dial();
    },
  });
  const chat = echo.client.makeBidiStreamRequest(definition.Chat.path, identity, identity, echo.metadata);
  const ended = ending(chat);
  chat.write(Buffer.from('hello'));
  await once(chat, 'data');
  asleep = true;
  echo.fixture.connections[0]?.destroy(new Error('the session was ended'));
  assert.equal((await ended).code, grpc.status.INTERNAL);
  const next = unary(echo, 'Unary', 'good morning');
  await arrived.promise;
  awake.resolve();
  const { status, value } = await next;
  assert.deepEqual([status.code, String(value)], [grpc.status.OK, 'good morning']);
  assert.equal(echo.fixture.connections.length, 2);
});
