import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { MicrovmUnreachableError } from '../../src/microvms/microvm-service.ts';
import type { Microvm } from '../../src/model/microvm.ts';
import { askH2, type Fixture, type FixtureOptions, h2Headers, h2Session, startEndpoint } from './fixture.ts';

/** An endpoint whose connections into the microVM open when the test says so. */
class Gate {
  readonly signals: AbortSignal[] = [];
  readonly #opened = Promise.withResolvers<void>();

  readonly connect: NonNullable<FixtureOptions['connect']> = async (_port, signal, dial) => {
    this.signals.push(signal);
    await this.#opened.promise;
    return await dial();
  };

  open(): void {
    this.#opened.resolve();
  }

  refuse(error: Error): void {
    this.#opened.reject(error);
  }
}

interface Room {
  readonly fixture: Fixture;
  readonly gate: Gate;
  readonly session: http2.ClientHttp2Session;
  /** Paths in the order in which the application got them. */
  readonly seen: string[];
}

async function startRoom(
  t: TestContext,
  options: FixtureOptions & { state?: Microvm['state'] } = {},
): Promise<Room> {
  const gate = new Gate();
  const { state = 'RUNNING', ...rest } = options;
  const fixture = await startEndpoint(t, { connect: gate.connect, vm: { state }, ...rest });
  const seen: string[] = [];
  const server = http2.createServer((request, response) => {
    seen.push(request.url);
    response.end('ok');
  });
  await fixture.expose(8080, server);
  const session = await h2Session(t, fixture);
  // The token is known then: what comes keeps its order from the first step on.
  assert.equal((await askH2(session, h2Headers(fixture, { 'x-aws-proxy-port': 'none' }))).status, 400);
  return { fixture, gate, seen, session };
}

function headers({ fixture }: Room, path: string): http2.OutgoingHttpHeaders {
  return h2Headers(fixture, { ':path': path, 'x-aws-proxy-force-h2': 'true' });
}

async function untilWaiting({ fixture }: Room, count: number): Promise<void> {
  const signal = AbortSignal.timeout(60_000);
  while (fixture.endpoint.status().waiting !== count) {
    signal.throwIfAborted();
    await new Promise(setImmediate);
  }
}

for (const state of ['RUNNING', 'SUSPENDED'] as const) {
  test(`requests that come together share one session with the application (${state})`, async (t) => {
    const room = await startRoom(t, { state });
    const paths = Array.from({ length: 50 }, (_, index) => `/${index}`);
    const answers = paths.map((path) => askH2(room.session, headers(room, path)));
    await untilWaiting(room, 50);
    room.gate.open();
    for (const answer of await Promise.all(answers)) {
      assert.deepEqual([answer.status, answer.body], [200, 'ok']);
    }
    assert.equal(room.fixture.connections.length, 1);
    assert.deepEqual(room.seen, paths);
    assert.equal(room.fixture.endpoint.status().waiting, 0);
  });
}

test('those that share a session that cannot be dialled are all told why', async (t) => {
  const room = await startRoom(t);
  const answers = Array.from({ length: 5 }, () => askH2(room.session, headers(room, '/')));
  await untilWaiting(room, 5);
  room.gate.refuse(new MicrovmUnreachableError('APP_CONNECT_FAILED', 'nothing listens'));
  for (const answer of await Promise.all(answers)) {
    assert.deepEqual([answer.status, answer.headers['x-aws-proxy-error']], [502, 'APP_CONNECT_FAILED']);
  }
  assert.equal(room.gate.signals.length, 1);
  assert.deepEqual(room.fixture.errors, []);
});

test('those that share a session with an application of HTTP/1.1 are all told so, and the next tries again', async (t) => {
  const room = await startRoom(t);
  await room.fixture.expose(
    8081,
    net.createServer((socket) => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))),
  );
  const ofOther = { ...headers(room, '/'), 'x-aws-proxy-port': '8081' };
  const answers = Array.from({ length: 5 }, () => askH2(room.session, ofOther));
  await untilWaiting(room, 5);
  room.gate.open();
  for (const answer of await Promise.all(answers)) {
    assert.deepEqual([answer.status, answer.headers['x-aws-proxy-error']], [502, 'BAD_GATEWAY']);
  }
  assert.equal(room.fixture.connections.length, 1);
  assert.equal((await askH2(room.session, ofOther)).status, 502);
  assert.equal(room.fixture.connections.length, 2);
  assert.equal((await askH2(room.session, headers(room, '/'))).status, 200);
});

test('who began to open a session may leave without harm to who shares it', async (t) => {
  const room = await startRoom(t);
  const first = room.session.request(headers(room, '/first'));
  first.on('error', () => undefined);
  await untilWaiting(room, 1);
  const second = askH2(room.session, headers(room, '/second'));
  await untilWaiting(room, 2);
  first.close(http2.constants.NGHTTP2_CANCEL);
  const third = askH2(room.session, headers(room, '/third'));
  await untilWaiting(room, 3);
  room.gate.open();
  assert.deepEqual([(await second).status, (await third).status], [200, 200]);
  assert.deepEqual(room.seen, ['/second', '/third']);
  assert.equal(room.fixture.connections.length, 1);
});

test('a session that nobody waits for any more is given up, and not shared', async (t) => {
  const room = await startRoom(t);
  const streams = ['/1', '/2'].map((path) => room.session.request(headers(room, path)));
  for (const stream of streams) stream.on('error', () => undefined);
  await untilWaiting(room, 2);
  for (const stream of streams) stream.close(http2.constants.NGHTTP2_CANCEL);
  await untilWaiting(room, 0);
  assert.equal(room.gate.signals[0]?.aborted, true);
  const later = askH2(room.session, headers(room, '/3'));
  await untilWaiting(room, 1);
  assert.equal(room.gate.signals.length, 2);
  room.gate.open();
  assert.equal((await later).status, 200);
  assert.deepEqual(room.seen, ['/3']);
});

test('those that share a session wait within the bounds for all who wait', async (t) => {
  const room = await startRoom(t, { limits: { waitersPerMicrovm: 2, wakeTimeoutMs: 60_000 } });
  const held = [1, 2].map(() => askH2(room.session, headers(room, '/')));
  await untilWaiting(room, 2);
  const refused = await askH2(room.session, headers(room, '/'));
  assert.deepEqual([refused.status, refused.headers['x-aws-proxy-error']], [503, 'MICROVM_WAKING']);
  room.gate.open();
  for (const answer of await Promise.all(held)) assert.equal(answer.status, 200);
});

test('a request for after the wake does not share what was begun before the microVM fell asleep', async (t) => {
  const ways: PromiseWithResolvers<Duplex>[] = [];
  const dials: (() => Promise<Duplex>)[] = [];
  const room = await startRoom(t, {
    connect: (_port, _signal, dial) => {
      const way = Promise.withResolvers<Duplex>();
      ways.push(way);
      dials.push(dial);
      return way.promise;
    },
  });
  const before = askH2(room.session, headers(room, '/before'));
  await untilWaiting(room, 1);
  Object.assign(room.fixture.vm, { state: 'SUSPENDING' });
  const after = [1, 2].map((index) => askH2(room.session, headers(room, `/after-${index}`)));
  await untilWaiting(room, 3);
  assert.equal(ways.length, 2);
  ways[0]?.reject(new MicrovmUnreachableError('MICROVM_CONNECT_FAILED', 'it falls asleep'));
  assert.equal((await before).status, 502);
  const [, dial] = dials;
  assert.ok(dial);
  ways[1]?.resolve(await dial());
  for (const answer of await Promise.all(after)) assert.equal(answer.status, 200);
  assert.deepEqual(room.seen, ['/after-1', '/after-2']);
});

test('a session that was opened for nobody closes like any idle one', async (t) => {
  const closed = Promise.withResolvers<void>();
  const greeting = Promise.withResolvers<net.Socket>();
  const room = await startRoom(t, { limits: { upstreamIdleMs: 50 } });
  // Its SETTINGS come when the test says so.
  await room.fixture.expose(
    8082,
    net.createServer((socket) => {
      socket.once('data', () => greeting.resolve(socket)).resume();
      socket.once('close', () => closed.resolve());
    }),
  );
  const stream = room.session.request({ ...headers(room, '/'), 'x-aws-proxy-port': '8082' });
  stream.on('error', () => undefined);
  room.gate.open();
  const app = await greeting.promise;
  stream.close(http2.constants.NGHTTP2_CANCEL);
  await once(stream, 'close');
  await new Promise((resolve) => room.session.ping(resolve));
  app.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
  await closed.promise;
});
