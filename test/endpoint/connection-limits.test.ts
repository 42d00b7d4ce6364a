import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { type TestContext, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { endpointLimits, type TrafficLimits } from '../../src/endpoint/options.ts';
import type { Microvm } from '../../src/model/microvm.ts';
import { ask, askH2, type Fixture, h2Headers, h2Session, lookupLoopback, startEndpoint } from './fixture.ts';

const any = Number.POSITIVE_INFINITY;

/** The documented connections, at any rate: the test may be fast. */
function documented(vm: Microvm): TrafficLimits {
  return { ...endpointLimits.aws.perMicrovm(vm), requestsPerSecond: any };
}

function answering(): http.Server {
  return http.createServer((_request, response) => response.end('ok'));
}

/** A client with one connection of its own that it keeps. */
function client(t: TestContext): https.Agent {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  return agent;
}

async function statusOf(fixture: Fixture, agent: https.Agent, token = fixture.token): Promise<number> {
  return (await ask(fixture, { agent, headers: { 'x-aws-proxy-auth': token } })).status;
}

/** The end of a connection takes a moment to get here. */
async function untilServed(fixture: Fixture, agent: https.Agent): Promise<void> {
  const signal = AbortSignal.timeout(60_000);
  while ((await statusOf(fixture, agent)) !== 200) signal.throwIfAborted();
}

test('a microVM has the documented number of connections, idle ones too, each with many streams', async (t) => {
  const fixture = await startEndpoint(t, {
    profile: 'aws',
    vm: { memoryMib: 512 },
    limits: { perMicrovm: documented },
  });
  await fixture.expose(8080, answering());
  const session = await h2Session(t, fixture);
  const streams = Array.from({ length: 20 }, () => askH2(session, h2Headers(fixture)));
  for (const { status } of await Promise.all(streams)) assert.equal(status, 200);
  const clients = Array.from({ length: 7 }, () => client(t));
  for (const agent of clients) assert.equal(await statusOf(fixture, agent), 200);

  const other = client(t);
  const answer = await ask(fixture, { agent: other });
  assert.deepEqual(
    [answer.status, answer.body, answer.headers['x-aws-proxy-error'], answer.headers['retry-after']],
    [429, 'Rate limit exceeded', 'RATE_LIMITED', '1'],
  );
  const otherSession = await h2Session(t, fixture);
  assert.equal((await askH2(otherSession, h2Headers(fixture))).status, 429);
  for (const agent of clients) assert.equal(await statusOf(fixture, agent), 200);

  clients[0]?.destroy();
  // On the connection that was refused.
  await untilServed(fixture, other);
  assert.equal((await askH2(otherSession, h2Headers(fixture))).status, 429);
});

test('a token has connections of its own, and one that takes to another token counts for that', async (t) => {
  const fixture = await startEndpoint(t, {
    limits: { perToken: { connections: 2, concurrent: 100, requestsPerSecond: any } },
  });
  await fixture.expose(8080, answering());
  const other = await fixture.tokens.mint(fixture.vm.microvmId, [{ allPorts: {} }], 5);
  const [first, second, third] = [client(t), client(t), client(t)];
  assert.equal(await statusOf(fixture, first), 200);
  assert.equal(await statusOf(fixture, second), 200);
  assert.equal(await statusOf(fixture, third), 429);
  assert.equal(await statusOf(fixture, third, other), 200);
  assert.equal(await statusOf(fixture, third), 429);
  assert.equal(await statusOf(fixture, first, other), 200);
  assert.equal(await statusOf(fixture, second, other), 429);
  assert.equal(await statusOf(fixture, third), 200);
});

test('WebSockets and tunnels have connections, and a connection without a good token has nobody’s', async (t) => {
  const fixture = await startEndpoint(t, {
    limits: { perMicrovm: () => ({ connections: 1, concurrent: 100, requestsPerSecond: any }) },
  });
  const server = answering();
  const sockets = new WebSocketServer({ server });
  t.after(() => sockets.close());
  await fixture.expose(8080, server);
  const stranger = client(t);
  assert.equal(await statusOf(fixture, stranger, 'none'), 403);
  const open = (): WebSocket =>
    new WebSocket(`wss://${fixture.host}:${fixture.port}/`, {
      ca: fixture.ca,
      lookup: lookupLoopback,
      headers: { host: fixture.host, 'x-aws-proxy-auth': fixture.token },
    });
  const socket = open();
  await once(socket, 'open');
  const [refused] = await once(open(), 'error');
  assert.match(String(refused), /429/);
  const headers = { connection: 'upgrade', upgrade: 'dormouse-tcp' };
  assert.equal((await ask(fixture, { path: '/dormouse/v1/tunnel?port=8080', headers })).status, 429);
  assert.equal(await statusOf(fixture, stranger), 429);
  socket.terminate();
  await untilServed(fixture, stranger);
});
