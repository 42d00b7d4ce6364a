import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import type { Microvm } from '../../model/microvm.ts';
import type { GuestService } from '../egress/guest-egress.ts';
import { createMetadataService } from './metadata-service.ts';
import { createMetadataTokens } from './metadata-tokens.ts';
import { type AssumeRole, ExecutionRoleCredentials } from './role-credentials.ts';

const launched = Date.UTC(2026, 0, 2, 3, 4, 5);
const minute = 60_000;
const roleArn = 'arn:aws:iam::123456789012:role/app';

function microvm(id: string, executionRoleArn: string | null): Microvm {
  return {
    microvmId: id,
    endpointId: 'e',
    state: 'RUNNING',
    stateReason: null,
    imageArn: 'arn:image',
    imageVersion: '1.0',
    executionRoleArn,
    idlePolicy: null,
    logging: null,
    maximumDurationInSeconds: 1,
    ingressNetworkConnectors: [],
    egressNetworkConnectors: [],
    memoryMib: 1,
    startedAt: launched,
    suspendedAt: null,
    terminatedAt: null,
  };
}

interface World {
  now: number;
  readonly failures: unknown[];
  assumed: number;
  assume: AssumeRole;
}

/** A metadata service whose guests' connections are plain sockets here. */
function start() {
  const world: World = {
    now: launched,
    failures: [],
    assumed: 0,
    assume: async (_role, _session, expiresAt) => {
      world.assumed += 1;
      return {
        accessKeyId: `ASIA${world.assumed}`,
        secretAccessKey: 'secret',
        sessionToken: 'token',
        expiresAt,
      };
    },
  };
  const clock = { now: () => world.now };
  const service = createMetadataService({
    tokens: createMetadataTokens(Buffer.alloc(32, 7)),
    credentials: new ExecutionRoleCredentials((...request) => world.assume(...request), clock),
    region: 'us-east-1',
    accountId: '123456789012',
    clock,
    onFailure: (_microvmId, error) => world.failures.push(error),
  });
  return { world, service };
}

/** The port that a guest's connections go to. */
async function serve(t: TestContext, guest: GuestService): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    guest(socket);
  });
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A guest with a role, and the ways it asks. */
async function guestOf(t: TestContext, role: string | null = roleArn) {
  const { world, service } = start();
  const port = await serve(t, service.forGuest(microvm('microvm-1', role)));
  const ask = async (path: string, init: RequestInit = {}): Promise<Response> =>
    await fetch(`http://127.0.0.1:${port}${path}`, init);
  const putToken = (headers: Record<string, string>): Promise<Response> =>
    ask('/latest/api/token', { method: 'PUT', headers });
  const token = await (await putToken({ 'x-aws-ec2-metadata-token-ttl-seconds': '60' })).text();
  const get = async (path: string, with_ = token): Promise<readonly [number, string]> => {
    const response = await ask(path, { headers: { 'x-aws-ec2-metadata-token': with_ } });
    return [response.status, await response.text()];
  };
  return { world, service, port, ask, putToken, token, get };
}

describe('the metadata service', () => {
  test('gives out tokens for as long as was asked, and answers nothing without one', async (t) => {
    const { world, ask, putToken, get, token } = await guestOf(t);
    assert.equal((await ask('/latest/meta-data/instance-id')).status, 401);
    assert.equal((await get('/latest/meta-data/instance-id', `${token}x`))[0], 401);
    assert.equal((await get('/latest/meta-data/instance-id', 'nonsense'))[0], 401);
    assert.deepEqual(await get('/latest/meta-data/instance-id'), [200, 'microvm-1']);
    const longest = await putToken({ 'x-aws-ec2-metadata-token-ttl-seconds': '21600' });
    assert.equal(longest.headers.get('x-aws-ec2-metadata-token-ttl-seconds'), '21600');
    world.now += minute;
    assert.equal((await get('/latest/meta-data/instance-id'))[0], 401);
    assert.equal((await get('/latest/meta-data/instance-id', await longest.text()))[0], 200);

    const bad: readonly Record<string, string>[] = [
      {},
      { 'x-aws-ec2-metadata-token-ttl-seconds': '0' },
      { 'x-aws-ec2-metadata-token-ttl-seconds': '21601' },
      { 'x-aws-ec2-metadata-token-ttl-seconds': 'x' },
    ];
    for (const headers of bad) assert.equal((await putToken(headers)).status, 400);
    const forwarded = { 'x-aws-ec2-metadata-token-ttl-seconds': '60', 'x-forwarded-for': '10.0.0.1' };
    assert.equal((await putToken(forwarded)).status, 403);
    assert.equal((await ask('/latest/meta-data/', { method: 'PUT' })).status, 405);
    assert.equal((await ask('/latest/meta-data/', { method: 'POST' })).status, 405);
  });

  test('a token is good for its own microVM only', async (t) => {
    const { service, token } = await guestOf(t);
    const port = await serve(t, service.forGuest(microvm('microvm-2', null)));
    const response = await fetch(`http://127.0.0.1:${port}/latest/meta-data/`, {
      headers: { 'x-aws-ec2-metadata-token': token },
    });
    assert.equal(response.status, 401);
  });

  test('lists what there is', async (t) => {
    const { get } = await guestOf(t);
    assert.deepEqual(await get('/'), [200, 'latest/']);
    assert.deepEqual(await get('/latest/'), [200, 'dynamic/\nmeta-data/']);
    const listing = 'iam/\ninstance-id\nplacement/';
    for (const path of ['/latest/meta-data', '/latest/meta-data/', '//latest//meta-data/']) {
      assert.deepEqual(await get(path), [200, listing]);
    }
    assert.deepEqual(await get('/latest/meta-data/placement/region'), [200, 'us-east-1']);
    assert.deepEqual(await get('/latest/meta-data/placement/availability-zone/'), [200, 'us-east-1a']);
    const [, identity] = await get('/latest/dynamic/instance-identity/document');
    assert.deepEqual(JSON.parse(identity), {
      accountId: '123456789012',
      availabilityZone: 'us-east-1a',
      imageId: 'arn:image',
      instanceId: 'microvm-1',
      pendingTime: '2026-01-02T03:04:05Z',
      region: 'us-east-1',
      version: '2017-09-30',
    });
    for (const path of [
      '/latest/user-data',
      '/latest/meta-data/instance-id/more',
      '/latest/__proto__',
      '/latest/meta-data/iam/security-credentials/other',
      '/latest/../latest/meta-data/x',
    ]) {
      assert.deepEqual(await get(path), [404, 'Not Found'], path);
    }
    assert.equal((await get(`/${'x'.repeat(300)}`))[0], 400);
  });

  test('tells the credentials of the role with the names of AWS', async (t) => {
    const { get } = await guestOf(t);
    assert.deepEqual(await get('/latest/meta-data/iam/security-credentials/'), [200, 'execution_role']);
    const [status, body] = await get('/latest/meta-data/iam/security-credentials/execution_role');
    assert.equal(status, 200);
    assert.deepEqual(JSON.parse(body), {
      Code: 'Success',
      LastUpdated: '2026-01-02T03:04:05Z',
      Type: 'AWS-HMAC',
      AccessKeyId: 'ASIA1',
      SecretAccessKey: 'secret',
      Token: 'token',
      Expiration: '2026-01-02T03:59:05Z',
    });
  });

  test('a microVM without a role has none of that', async (t) => {
    const { get } = await guestOf(t, null);
    assert.deepEqual(await get('/latest/meta-data/'), [200, 'instance-id\nplacement/']);
    assert.equal((await get('/latest/meta-data/iam/security-credentials/'))[0], 404);
    assert.equal((await get('/latest/meta-data/iam/security-credentials/execution_role'))[0], 404);
  });

  test('the credentials stay until shortly before their end', async (t) => {
    const { world, putToken, get } = await guestOf(t);
    const long = await (await putToken({ 'x-aws-ec2-metadata-token-ttl-seconds': '21600' })).text();
    const credentials = async (): Promise<readonly [string, string]> => {
      const [, body] = await get('/latest/meta-data/iam/security-credentials/execution_role', long);
      const { AccessKeyId, Expiration } = JSON.parse(body) as Record<string, string>;
      return [AccessKeyId ?? '', Expiration ?? ''];
    };
    world.now = launched + 20 * minute;
    assert.deepEqual(await credentials(), ['ASIA1', '2026-01-02T03:59:05Z']);
    world.now = launched + 49 * minute;
    assert.deepEqual(await credentials(), ['ASIA1', '2026-01-02T03:59:05Z']);
    world.now = launched + 50 * minute;
    assert.deepEqual(await credentials(), ['ASIA2', '2026-01-02T04:49:05Z']);
    world.now = launched + 120 * minute;
    assert.deepEqual(await credentials(), ['ASIA3', '2026-01-02T05:59:05Z']);
  });

  test('when the role cannot be assumed it says so, and does not try for every request', async (t) => {
    const { world, get } = await guestOf(t);
    const assume = world.assume;
    let tries = 0;
    world.assume = async () => {
      tries += 1;
      throw new Error('no');
    };
    const path = '/latest/meta-data/iam/security-credentials/execution_role';
    assert.deepEqual(await get(path), [503, 'Service Unavailable']);
    assert.deepEqual(await get(path), [503, 'Service Unavailable']);
    assert.equal(tries, 1);
    assert.equal(world.failures.length, 2);
    world.assume = assume;
    world.now += 5000;
    assert.equal((await get(path))[0], 200);
  });
});

describe('a hostile guest', () => {
  test('gets no answer to what is not HTTP, or too long', async (t) => {
    const { port } = await guestOf(t);
    for (const sent of [
      'hello\r\n\r\n',
      `GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(10_000)}\r\n\r\n`,
      '\x16\x03\x01\x02\x00',
    ]) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write(sent);
      assert.equal(await text(socket).catch(() => ''), '');
    }
  });

  test('has so many connections at once', async (t) => {
    const { port } = await guestOf(t);
    const sockets = Array.from({ length: 40 }, () => connect(port, '127.0.0.1'));
    t.after(() => {
      for (const socket of sockets) socket.destroy();
    });
    let closed = 0;
    const enough = Promise.withResolvers<void>();
    for (const socket of sockets) {
      socket.on('error', () => undefined);
      socket.once('close', () => {
        closed += 1;
        if (closed === 8) enough.resolve();
      });
    }
    await enough.promise;
    assert.equal(sockets.filter((socket) => !socket.destroyed).length, 32);
  });

  test('has so many requests at once', async (t) => {
    const { ask } = await guestOf(t);
    const statuses = new Set<number>();
    const asking = async (): Promise<void> => {
      for (let count = 0; count < 500 && !statuses.has(429); count += 1) {
        statuses.add((await ask('/latest/meta-data/')).status);
      }
    };
    await Promise.all(Array.from({ length: 16 }, asking));
    assert.deepEqual([...statuses].sort(), [401, 429]);
  });
});
