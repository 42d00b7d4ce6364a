import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type http2 from 'node:http2';
import https from 'node:https';
import { type TestContext, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import {
  type Ask,
  ask,
  askH2,
  type Fixture,
  h2Headers,
  h2Session,
  lookupLoopback,
  rawConnection,
  startEndpoint,
} from './fixture.ts';

/** Answers at once, or with a part now and then when asked to. */
function app(): { server: http.Server; say: (text: string) => void } {
  const open = new Set<http.ServerResponse>();
  const server = http.createServer((request, response) => {
    if (request.url !== '/stream') return void response.end('ok');
    open.add(response);
    response.write('begun');
  });
  const sockets = new WebSocketServer({ server });
  server.once('close', () => sockets.close());
  return {
    server,
    say: (text) => {
      for (const response of open) response.write(text);
      for (const socket of sockets.clients) socket.send(text);
    },
  };
}

interface Opened {
  readonly agent: https.Agent;
  readonly session: http2.ClientHttp2Session;
  /** Waits until all that was open before has got these words. */
  heard(text: string): Promise<void>;
}

/** Opens one of everything with a token: kept connections, streams over both versions, a WebSocket. */
async function openAll(t: TestContext, fixture: Fixture): Promise<Opened> {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  assert.equal((await ask(fixture, { agent })).status, 200);
  const session = await h2Session(t, fixture);
  assert.equal((await askH2(session, h2Headers(fixture))).status, 200);
  const stream = session.request(h2Headers(fixture, { ':path': '/stream' }));
  const download = https.get({
    ...{ host: '127.0.0.1', port: fixture.port, servername: fixture.host, ca: fixture.ca, agent: false },
    path: '/stream',
    headers: { host: fixture.host, 'x-aws-proxy-auth': fixture.token },
  });
  t.after(() => download.destroy());
  const socket = new WebSocket(`wss://${fixture.host}:${fixture.port}/`, {
    ca: fixture.ca,
    lookup: lookupLoopback,
    headers: { host: fixture.host, 'x-aws-proxy-auth': fixture.token },
  });
  t.after(() => socket.terminate());
  const [[response]] = await Promise.all([once(download, 'response'), once(socket, 'open')]);
  await Promise.all([once(stream, 'data'), once(response, 'data')]);
  return {
    agent,
    session,
    async heard(text) {
      const parts = [once(stream, 'data'), once(response, 'data'), once(socket, 'message')];
      for (const [part] of await Promise.all(parts)) assert.equal(String(part), text);
    },
  };
}

const failed = [403, 'Token authentication failed', 'UNAUTHORIZED'];

async function isRefused(fixture: Fixture, { agent, session }: Opened): Promise<void> {
  for (const answer of [
    await ask(fixture, { agent }),
    await ask(fixture),
    await askH2(session, h2Headers(fixture)),
  ]) {
    assert.deepEqual([answer.status, answer.body, answer.headers['x-aws-proxy-error']], failed);
  }
}

test('a token that has expired opens nothing, on kept connections either; what is open goes on', async (t) => {
  let now = 0;
  const fixture = await startEndpoint(t, { clock: { now: () => now } });
  const { server, say } = app();
  await fixture.expose(8080, server);
  const opened = await openAll(t, fixture);
  now = 5 * 60_000 - 1;
  assert.equal((await ask(fixture, { agent: opened.agent })).status, 200, 'good to the last millisecond');
  now += 1;
  await isRefused(fixture, opened);
  const hearing = opened.heard('still there');
  say('still there');
  await hearing;
});

test('a new key leaves tokens as they are, or ends them all; what is open goes on', async (t) => {
  const fixture = await startEndpoint(t);
  const { server, say } = app();
  await fixture.expose(8080, server);
  const opened = await openAll(t, fixture);
  await fixture.tokens.rotateKey({ revoke: false });
  assert.equal((await ask(fixture)).status, 200);
  await fixture.tokens.rotateKey({ revoke: true });
  await isRefused(fixture, opened);
  const hearing = opened.heard('still there');
  say('still there');
  await hearing;
  const token = await fixture.tokens.mint(fixture.vm.microvmId, [{ port: 8080 }], 5);
  assert.equal((await ask(fixture, { headers: { 'x-aws-proxy-auth': token } })).status, 200);
});

const reserved = ['X-AWS-PROXY-AUTH', 'x-Aws-Proxy-Port', 'X-aws-proxy-Force-H2', 'X-AWS-PROXY-'];

test('reserved headers reach nobody, whatever their case, in heads and in trailers', async (t) => {
  const fixture = await startEndpoint(t);
  const seen: string[] = [];
  const server = http.createServer((request, response) => {
    request.resume().on('end', () => {
      seen.push(...request.rawHeaders, ...request.rawTrailers);
      response.writeHead(200, [
        'X-AWS-Proxy-Error',
        'forged',
        'x-aws-proxy-x',
        '1',
        'X-Mine',
        '1',
        'Trailer',
        'x-t',
      ]);
      response.write('body');
      response.addTrailers([
        ['x-t', '1'],
        ['X-aws-PROXY-y', '1'],
      ]);
      response.end();
    });
  });
  await fixture.expose(8080, server);
  const socket = await rawConnection(fixture);
  socket.write(
    `POST / HTTP/1.1\r\nHost: ${fixture.host}\r\nX-AWS-PROXY-AUTH: ${fixture.token}\r\nx-Aws-Proxy-Port: 8080\r\n` +
      'X-aws-proxy-Force-H2: false\r\nX-AWS-PROXY-: 1\r\nX-AWS-PROXY-NEW: 1\r\nConnection: close\r\n' +
      `Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n${reserved.map((name) => `${name}: 1\r\n`).join('')}X-T: 1\r\n\r\n`,
  );
  const received = Buffer.concat(await Array.fromAsync(socket as AsyncIterable<Buffer>)).toString();
  assert.match(received, /^HTTP\/1\.1 200 OK\r\n[\s\S]*X-Mine: 1\r\n[\s\S]*\r\nx-t: 1\r\n\r\n$/i);
  assert.doesNotMatch(received, /x-aws-proxy/i);

  const stream = (await h2Session(t, fixture)).request(
    h2Headers(fixture, { ':method': 'POST', 'x-aws-proxy-new': '1' }),
    { waitForTrailers: true },
  );
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-aws-proxy-auth': '1', 'x-t': '1' }));
  stream.end('hi');
  const [head] = await once(stream, 'response');
  const [trailers] = await once(stream.resume(), 'trailers');
  assert.deepEqual(Object.keys(trailers), ['x-t']);
  assert.equal(head['x-mine'], '1');
  assert.deepEqual(
    [...Object.keys(head), ...seen].filter((name) => /x-aws-proxy/i.test(name)),
    [],
  );
  assert.equal(seen.filter((name) => name.toLowerCase() === 'x-t').length, 2);
});

test('a token for some ports opens those, by header or by sub-protocol, and no other', async (t) => {
  const fixture = await startEndpoint(t);
  for (const port of [1, 8080, 9000, 9005, 65_535]) await fixture.expose(port, app().server);
  const grants: ReadonlyArray<
    readonly [string, Parameters<typeof fixture.tokens.mint>[1], number[], number[]]
  > = [
    ['one port', [{ port: 9000 }], [9000], [1, 8080, 9005, 65_535]],
    ['a range', [{ range: { startPort: 9000, endPort: 9005 } }], [9000, 9005], [1, 8080, 65_535]],
    ['both ends', [{ port: 1 }, { port: 65_535 }], [1, 65_535], [8080, 9000]],
    ['all', [{ allPorts: {} }], [1, 8080, 9000, 9005, 65_535], []],
    ['overlapping', [{ port: 9000 }, { range: { startPort: 8999, endPort: 9001 } }], [9000], [8080, 9005]],
  ];
  for (const [name, ports, open, closed] of grants) {
    const token = await fixture.tokens.mint(fixture.vm.microvmId, ports, 5);
    assert.equal(token.length, name === 'all' ? 767 : 823, 'the length tells nothing else');
    const statusOf = async (port: number): Promise<readonly number[]> => {
      const request: Ask = { headers: { 'x-aws-proxy-auth': token, 'x-aws-proxy-port': String(port) } };
      const protocols = [
        'lambda-microvms',
        `lambda-microvms.authentication.${token}`,
        `lambda-microvms.port.${port}`,
      ];
      return [(await ask(fixture, request)).status, await handshake(fixture, protocols)];
    };
    for (const port of open) assert.deepEqual(await statusOf(port), [200, 101], `${name}: ${port}`);
    for (const port of closed) assert.deepEqual(await statusOf(port), [403, 403], `${name}: ${port}`);
  }
});

/** The status that a WebSocket handshake is answered with. */
async function handshake(fixture: Fixture, protocols: string[]): Promise<number> {
  const socket = new WebSocket(`wss://${fixture.host}:${fixture.port}/`, protocols, {
    ca: fixture.ca,
    lookup: lookupLoopback,
    headers: { host: fixture.host },
  });
  socket.on('error', () => undefined);
  const { promise, resolve } = Promise.withResolvers<number>();
  socket.once('open', () => resolve(101));
  socket.once('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
  const status = await promise;
  socket.terminate();
  return status;
}

test('every request has an id of its own, which the application sees too', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(
    8080,
    http.createServer((request, response) => response.end(request.headers['x-amzn-requestid'])),
  );
  const session = await h2Session(t, fixture);
  const forged = { 'x-amzn-requestid': 'forged' };
  const answers = [
    await ask(fixture, { headers: forged }),
    await ask(fixture, { headers: forged }),
    await askH2(session, h2Headers(fixture, forged)),
    await askH2(session, h2Headers(fixture, forged)),
  ];
  for (const { body, headers } of answers) {
    assert.match(body, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assert.equal(headers['x-amzn-requestid'], body);
  }
  assert.equal(new Set(answers.map(({ body }) => body)).size, 4);
});

test('a refusal of HEAD has the head of a refusal, and no body', async (t) => {
  const fixture = await startEndpoint(t);
  const session = await h2Session(t, fixture);
  for (const answer of [
    await ask(fixture, { method: 'HEAD', anonymous: true }),
    await askH2(session, { ':path': '/', ':method': 'HEAD', ':authority': fixture.host }),
  ]) {
    assert.deepEqual([answer.status, answer.body], [403, '']);
    assert.equal(answer.headers['x-aws-proxy-error'], 'UNAUTHORIZED');
    assert.equal(answer.headers['cache-control'], 'private, no-store');
  }
});
