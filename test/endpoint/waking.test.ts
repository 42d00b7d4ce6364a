import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import type { EndpointLimits } from '../../src/endpoint/options.ts';
import { MicrovmUnreachableError, type UnreachableCode } from '../../src/microvms/microvm-service.ts';
import { until } from '../support/until.ts';
import { ask, askH2, h2Headers, h2Session, lookupLoopback, startEndpoint } from './fixture.ts';

function app(): http.Server {
  const server = http.createServer((_request, response) => response.end('awake'));
  const sockets = new WebSocketServer({ server });
  server.once('close', () => sockets.close());
  return server;
}

test('whoever comes at a sleeping microVM is served once it is awake', async (t) => {
  const awake = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  let waiting = 0;
  const fixture = await startEndpoint(t, {
    async connect(_port, _signal, dial) {
      waiting += 1;
      if (waiting === 12) arrived.resolve();
      await awake.promise;
      return await dial();
    },
  });
  await fixture.expose(8080, app());
  const session = await h2Session(t, fixture);
  const answers = [
    ...Array.from({ length: 5 }, () => ask(fixture)),
    ...Array.from({ length: 5 }, () => askH2(session, h2Headers(fixture))),
    ask(fixture, { method: 'POST', body: 'x'.repeat(100_000) }),
  ];
  const socket = new WebSocket(`wss://${fixture.host}:${fixture.port}/`, {
    ca: fixture.ca,
    lookup: lookupLoopback,
    headers: { 'x-aws-proxy-auth': fixture.token, host: fixture.host },
  });
  const opened = once(socket, 'open');
  await arrived.promise;
  assert.equal(fixture.endpoint.status().waiting, 12);
  awake.resolve();
  for (const answer of await Promise.all(answers))
    assert.deepEqual([answer.status, answer.body], [200, 'awake']);
  await opened;
  socket.terminate();
  assert.equal(fixture.endpoint.status().waiting, 0);
});

test('the reason why a microVM cannot be reached is the code of the 502', async (t) => {
  const codes: readonly UnreachableCode[] = [
    'APP_CONNECT_FAILED',
    'MICROVM_CONNECT_FAILED',
    'MICROVM_SUSPENDED',
    'BAD_GATEWAY',
    'NOT_FOUND',
  ];
  for (const code of codes) {
    const fixture = await startEndpoint(t, {
      connect: () => Promise.reject(new MicrovmUnreachableError(code, 'secret detail')),
    });
    const answer = await ask(fixture);
    assert.deepEqual([answer.status, answer.headers['x-aws-proxy-error']], [502, code]);
    assert.match(answer.body, /^[A-Z][^\n]{20,}\n$/);
    assert.doesNotMatch(answer.body, /secret/);
    assert.deepEqual(fixture.errors, []);
  }
});

test('a 502 says in words what is the matter, and nothing in the aws profile', async (t) => {
  const connect = () => Promise.reject(new MicrovmUnreachableError('MICROVM_SUSPENDED', 'detail'));
  assert.match((await ask(await startEndpoint(t, { connect }))).body, /sleeps.*autoResumeEnabled/);
  const { status, body } = await ask(await startEndpoint(t, { connect, profile: 'aws' }));
  assert.deepEqual([status, body], [502, '']);
});

for (const [profile, status, retryAfter] of [
  ['relaxed', 503, '5'],
  ['aws', 502, undefined],
] as const) {
  test(`a host without room says so, and when to come again (${profile})`, async (t) => {
    const fixture = await startEndpoint(t, {
      profile,
      connect: () => Promise.reject(new MicrovmUnreachableError('INSUFFICIENT_CAPACITY', 'no memory')),
    });
    const answer = await ask(fixture);
    assert.equal(answer.status, status);
    assert.equal(answer.headers['x-aws-proxy-error'], 'INSUFFICIENT_CAPACITY');
    assert.equal(answer.headers['retry-after'], retryAfter);
  });
}

test('an unexpected failure is a 500 without details, and the operator hears of it', async (t) => {
  const failure = new Error('secret detail');
  const fixture = await startEndpoint(t, { connect: () => Promise.reject(failure) });
  const answer = await ask(fixture);
  assert.deepEqual([answer.status, answer.body], [500, 'Internal error']);
  assert.deepEqual(fixture.errors, [failure]);
});

const tooLong = [
  ['relaxed', 503, 'The MicroVM is waking up', 'MICROVM_WAKING'],
  ['aws', 502, '', 'MICROVM_CONNECT_FAILED'],
] as const;
for (const [profile, status, body, code] of tooLong) {
  test(`waiting is bounded in time and number (${profile})`, async (t) => {
    const fixture = await startEndpoint(t, {
      profile,
      limits: { wakeTimeoutMs: 300, waitersPerMicrovm: 2 },
      // Ignores the signal, too: the endpoint's own bound has to hold.
      connect: () => new Promise(() => undefined),
    });
    const answers = await Promise.all([ask(fixture), ask(fixture), ask(fixture), ask(fixture)]);
    for (const answer of answers) {
      assert.deepEqual(
        [answer.status, answer.body, answer.headers['x-aws-proxy-error']],
        [status, body, code],
      );
      assert.equal(answer.headers['retry-after'], profile === 'relaxed' ? '1' : undefined);
    }
    assert.equal(fixture.endpoint.status().waiting, 0);
  });
}

test('a client that leaves while it waits leaves no trace', async (t) => {
  const arrived = Promise.withResolvers<AbortSignal>();
  const late = Promise.withResolvers<Duplex>();
  let dialled: Duplex | undefined;
  const fixture = await startEndpoint(t, {
    async connect(_port, signal, dial) {
      arrived.resolve(signal);
      const connection = await late.promise.catch(dial);
      dialled = connection;
      return connection;
    },
  });
  await fixture.expose(8080, app());
  const session = await h2Session(t, fixture);
  const stream = session.request(h2Headers(fixture));
  stream.on('error', () => undefined);
  const signal = await arrived.promise;
  stream.close(8);
  if (!signal.aborted) await once(signal, 'abort');
  await new Promise(setImmediate);
  assert.equal(fixture.endpoint.status().waiting, 0);
  // The microVM service was too late to notice: its connection is closed, not used.
  late.reject(new Error('now'));
  await until('it has been dialled', () => dialled !== undefined);
  await new Promise(setImmediate);
  assert.ok(dialled?.destroyed);
});

test('a kept connection that was closed meanwhile costs a repeatable request nothing', async (t) => {
  const fixture = await startEndpoint(t);
  let handled = 0;
  const server = http.createServer((_request, response) => {
    handled += 1;
    response.end('ok');
  });
  await fixture.expose(8080, server);
  await ask(fixture);
  await ask(fixture);
  assert.equal(fixture.connections.length, 1, 'the connection is kept');
  // The guest's end closes at the moment the next request is sent.
  server.closeAllConnections();
  const answer = await ask(fixture);
  assert.deepEqual([answer.status, handled], [200, 3]);
  assert.equal(fixture.connections.length, 2);
});

for (const [protocol, createServer, headers] of [
  ['HTTP/1.1', () => http.createServer(), {}],
  ['HTTP/2', () => http2.createServer(), { 'x-aws-proxy-force-h2': 'true' }],
] as const) {
  test(`a request over ${protocol} to a microVM that is falling asleep waits until it is awake again`, async (t) => {
    const awake = Promise.withResolvers<void>();
    const waits = Promise.withResolvers<void>();
    const fixture = await startEndpoint(t, {
      async connect(_port, _signal, dial) {
        if (fixture.vm.state === 'RUNNING') return await dial();
        waits.resolve();
        await awake.promise;
        return await dial();
      },
    });
    let handled = 0;
    const server = createServer();
    server.on('request', (_request: unknown, response: http.ServerResponse | http2.Http2ServerResponse) => {
      handled += 1;
      response.end('ok');
    });
    await fixture.expose(8080, server);
    await ask(fixture, { headers });
    assert.equal(fixture.connections.length, 1);
    Object.assign(fixture.vm, { state: 'SUSPENDING' });
    const answer = ask(fixture, { headers });
    await Promise.race([waits.promise, answer]);
    assert.equal(handled, 1, 'the kept connection is not used');
    awake.resolve();
    assert.equal((await answer).status, 200);
    assert.equal(handled, 2);
  });
}

test('a kept connection that closes under a repeatable request is replaced by a new one', async (t) => {
  const fixture = await startEndpoint(t);
  const heads: string[] = [];
  await fixture.expose(
    8080,
    net.createServer((socket) => {
      let served = false;
      socket.on('data', (chunk) => {
        heads.push(chunk.toString('latin1').split(' ', 2).join(' '));
        if (served) return socket.destroy();
        served = true;
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      });
    }),
  );
  assert.equal((await ask(fixture, { path: '/1' })).status, 200);
  assert.equal((await ask(fixture, { path: '/2' })).status, 200);
  assert.deepEqual(heads, ['GET /1', 'GET /2', 'GET /2']);
});

/** The first request of a connection is answered; the second one is taken, and no more. */
for (const [when, limits, breakOff] of [
  ['its microVM is put to sleep', {}, (inside) => inside.destroy(new Error('the session was ended'))],
  ['its microVM is gone', {}, (inside) => inside.destroy()],
  ['the application gives it up after a while', { repeatWithinMs: 0 }, (_inside, app) => app.end()],
] as const satisfies readonly [
  string,
  Partial<EndpointLimits>,
  (inside: Duplex, app: http.IncomingMessage['socket']) => void,
][]) {
  test(`a request that the application has taken is not sent again when ${when}`, async (t) => {
    const fixture = await startEndpoint(t, { limits });
    const taken = Promise.withResolvers<http.IncomingMessage['socket']>();
    let handled = 0;
    await fixture.expose(
      8080,
      http.createServer((request, response) => {
        handled += 1;
        if (request.url === '/') response.end('ok');
        else taken.resolve(request.socket);
      }),
    );
    await ask(fixture);
    const answer = ask(fixture, { path: '/poll' });
    const app = await taken.promise;
    const [inside] = fixture.connections;
    assert.ok(inside);
    breakOff(inside, app);
    assert.equal((await answer).status, 502);
    assert.equal(handled, 2);
    assert.equal(fixture.connections.length, 1, 'nothing was opened that would have woken it');
  });
}

test('a request that is to change something is not sent again, whoever closed the connection', async (t) => {
  const fixture = await startEndpoint(t);
  const heads: string[] = [];
  await fixture.expose(
    8080,
    http.createServer((request, response) => {
      heads.push(request.method ?? '');
      if (request.method === 'GET') response.end('ok');
      else request.socket.end();
    }),
  );
  for (const method of ['DELETE', 'PUT', 'POST']) {
    assert.equal((await ask(fixture)).status, 200);
    assert.equal((await ask(fixture, { method })).status, 502);
  }
  assert.deepEqual(heads, ['GET', 'DELETE', 'GET', 'PUT', 'GET', 'POST']);
});

test('a request that may have been handled is not sent again', async (t) => {
  const fixture = await startEndpoint(t);
  let handled = 0;
  await fixture.expose(
    8080,
    http.createServer((request, response) => {
      handled += 1;
      if (handled === 1) response.end('ok');
      else request.socket.destroy();
    }),
  );
  await ask(fixture);
  assert.equal((await ask(fixture, { method: 'POST', body: 'pay' })).status, 502);
  assert.equal(handled, 2);
});
