import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import {
  type Ask,
  ask,
  askH2,
  h2Headers,
  h2Session,
  noAnswer,
  rawExchange,
  startEndpoint,
} from './fixture.ts';
import { createTokensForTest } from './tokens-for-test.ts';

test('what is refused, and how', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(
    8080,
    http.createServer((_request, response) => response.end('app')),
  );
  const { tokens, vm, token } = fixture;
  const only9000 = await tokens.mint(vm.microvmId, [{ port: 9000 }], 5);
  const range = await tokens.mint(vm.microvmId, [{ range: { startPort: 8000, endPort: 8100 } }], 5);
  const shell = await tokens.mint(vm.microvmId, 'shell', 5);
  const otherVm = await tokens.mint('microvm-6a1b8a3e-0000-4000-8000-000000000000', [{ allPorts: {} }], 5);
  const expired = await tokens.mint(vm.microvmId, [{ allPorts: {} }], -1);
  const foreign = await (await createTokensForTest(t)).mint(vm.microvmId, [{ allPorts: {} }], 5);
  const flipped = `${token.slice(0, -30)}${token.at(-30) === 'A' ? 'B' : 'A'}${token.slice(-29)}`;

  const auth = (value: string, more: http.OutgoingHttpHeaders = {}): Ask => ({
    headers: { 'x-aws-proxy-auth': value, ...more },
  });
  const missing = [403, 'Request missing authentication', 'UNAUTHORIZED'] as const;
  const failed = [403, 'Token authentication failed', 'UNAUTHORIZED'] as const;
  const denied = [403, 'Access to port denied', 'UNAUTHORIZED'] as const;
  const malformed = [400, 'Malformed port', 'BAD_REQUEST'] as const;
  const cases: ReadonlyArray<readonly [string, Ask, readonly [number, string, string | undefined]]> = [
    ['no token', { anonymous: true }, missing],
    ['not a token', auth('hello'), missing],
    ['five parts, no JOSE header', auth('YQ..YQ.YQ.YQ'), missing],
    ['tampered', auth(flipped), failed],
    ['cut short', auth(token.slice(0, -1)), failed],
    ['expired', auth(expired), failed],
    ['of another microVM', auth(otherVm), failed],
    ['made by another server', auth(foreign), failed],
    ['twice', { headers: { 'x-aws-proxy-auth': [token, token] } }, missing],
    ['default port not granted', auth(only9000), denied],
    ['named port not granted', auth(range, { 'x-aws-proxy-port': '8101' }), denied],
    ['granted by range', auth(range), [200, 'app', undefined]],
    [
      'granted but nothing listens',
      auth(only9000, { 'x-aws-proxy-port': '9000' }),
      [502, 'Nothing listens on this port of the MicroVM\n', 'APP_CONNECT_FAILED'],
    ],
    ['port 0', auth(token, { 'x-aws-proxy-port': '0' }), malformed],
    ['port too large', auth(token, { 'x-aws-proxy-port': '65536' }), malformed],
    ['port not a number', auth(token, { 'x-aws-proxy-port': '80 80' }), malformed],
    ['port in hex', auth(token, { 'x-aws-proxy-port': '0x1f90' }), malformed],
    ['port named twice', auth(token, { 'x-aws-proxy-port': ['8080', '8080'] }), malformed],
    ['shell token for a request', auth(shell), [502, noAnswer, 'BAD_GATEWAY']],
    [
      'unknown host',
      { headers: { host: `${vm.microvmId.slice(8)}.other.localhost` } },
      [421, 'Misdirected request', 'BAD_REQUEST'],
    ],
    ['asterisk', { method: 'GET', path: '*' }, [400, 'Malformed request', 'BAD_REQUEST']],
    ['absolute target', { path: `http://${fixture.host}/` }, [400, 'Malformed request', 'BAD_REQUEST']],
  ];
  const session = await h2Session(t, fixture);
  for (const [name, request, [status, body, error]] of cases) {
    await t.test(name, async () => {
      const answer = await ask(fixture, request);
      assert.deepEqual(
        [answer.status, answer.body, answer.headers['x-aws-proxy-error']],
        [status, body, error],
      );
      assert.match(String(answer.headers['x-amzn-requestid']), /^[0-9a-f-]{36}$/);
      if (error === undefined) return;
      assert.equal(answer.headers['cache-control'], 'private, no-store');
      assert.equal(answer.headers['content-type'], body === '' ? undefined : 'text/plain');
    });
    const { host, ...headers } = request.headers ?? {};
    if (request.path !== undefined || host !== undefined || request.anonymous === true) continue;
    await t.test(`${name}, over HTTP/2`, async () => {
      const answer = await askH2(session, h2Headers(fixture, headers as http.OutgoingHttpHeaders));
      assert.deepEqual(
        [answer.status, answer.body, answer.headers['x-aws-proxy-error']],
        [status, body, error],
      );
    });
  }
  assert.deepEqual(fixture.errors, []);
});

test('a host name that belongs to no microVM is answered like a bad token', async (t) => {
  const fixture = await startEndpoint(t);
  const unknown = { ...fixture, host: `6a1b8a3e-0000-4000-8000-000000000000.microvm.localhost` };
  const answer = await ask(unknown);
  assert.deepEqual([answer.status, answer.body], [403, 'Token authentication failed']);
});

test('a microVM without HTTP ingress is not reachable', async (t) => {
  const connector = 'arn:aws:lambda:us-east-1:aws:network-connector:aws-network-connector:NO_INGRESS';
  const fixture = await startEndpoint(t, { vm: { ingressNetworkConnectors: [connector] } });
  await fixture.expose(
    8080,
    http.createServer((_request, response) => response.end('app')),
  );
  assert.equal((await ask(fixture)).status, 403);
  assert.equal(fixture.connections.length, 0);
});

test('refusals are counted by their code, whoever makes them', async (t) => {
  const fixture = await startEndpoint(t, { limits: { totalTimeMs: 200 } });
  await fixture.expose(8080, http.createServer());
  const session = await h2Session(t, fixture);
  await ask(fixture, { anonymous: true });
  await askH2(session, h2Headers(fixture, { 'x-aws-proxy-auth': 'none' }));
  await ask(fixture, { headers: { 'x-aws-proxy-port': '9' } });
  await rawExchange(fixture, 'nonsense\r\n\r\n');
  await Promise.all([ask(fixture), askH2(session, h2Headers(fixture))]);
  assert.deepEqual(
    fixture.endpoint.status().refusals,
    new Map([
      ['UNAUTHORIZED', 2],
      ['APP_CONNECT_FAILED', 1],
      ['BAD_REQUEST', 1],
      ['TIMEOUT', 2],
    ]),
  );
});
