import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { after, before, describe, test } from 'node:test';
import {
  GetMicrovmCommand,
  ResumeMicrovmCommand,
  type RunMicrovmCommandOutput,
  SuspendMicrovmCommand,
} from '@aws-sdk/client-lambda-microvms';
import { managedConnectorArn } from '../../src/model/arn.ts';
import { builtImage, createImage, zip } from '../support/counter-image.ts';
import { CounterVms } from '../support/counter-vms.ts';
import { DormouseServer, removeDataDirectory, temporaryDirectory } from '../support/dormouse-server.ts';
import { guestProgram } from '../support/egress-guest.ts';
import { callEndpoint } from '../support/endpoint-client.ts';
import { signedRequest, signedSuccess } from '../support/signed-request.ts';

/** This machine's own address on its network: out of reach unless the server is told otherwise. */
const friend = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find((entry) => entry.family === 'IPv4' && !entry.internal)?.address;
assert.ok(friend, 'this machine has no network interface');
const host = friend;
const megabyte = 1024 * 1024;

async function listen(
  t: { after(close: () => void): void },
  onConnection: (socket: Socket) => void,
  address = host,
): Promise<Server & { port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket.on('error', () => undefined));
    onConnection(socket);
  });
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  server.listen(0, address);
  await once(server, 'listening');
  return Object.assign(server, { port: (server.address() as AddressInfo).port });
}

/** Answers every query with one A record, or with so many that only TCP carries them. */
async function startResolver(atEnd: {
  after(close: () => void): void;
}): Promise<{ datagrams: DatagramSocket; streams: Server; port: number }> {
  const streams = await listen(
    atEnd,
    (socket) => {
      socket.once('data', (framed: Buffer) => {
        const answer = records(framed.subarray(2), 100);
        const length = Buffer.alloc(2);
        length.writeUInt16BE(answer.length);
        socket.end(Buffer.concat([length, answer]));
      });
    },
    '127.0.0.1',
  );
  const datagrams = createSocket('udp4');
  datagrams.bind(streams.port, '127.0.0.1');
  await once(datagrams, 'listening');
  datagrams.on('message', (query, from) => {
    const answer = records(query, 1);
    if (query.includes('many')) answer.writeUInt8(answer.readUInt8(2) | 0x02, 2);
    datagrams.send(answer, from.port, from.address);
  });
  return { datagrams, streams, port: streams.port };
}

/** An answer to a query for an A record: as many addresses as wanted. */
function records(query: Buffer, count: number): Buffer {
  const questionEnd = query.indexOf(0, 12) + 5;
  const isAddress = query.readUInt16BE(questionEnd - 4) === 1;
  const head = Buffer.from(query.subarray(0, questionEnd));
  head.writeUInt16BE(0x8180, 2);
  head.writeUInt16BE(isAddress ? count : 0, 6);
  head.writeUInt32BE(0, 8);
  const answers = Array.from({ length: isAddress ? count : 0 }, (_, index) =>
    Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 83, 0, index + 1]),
  );
  return Buffer.concat([head, ...answers]);
}

describe('the way out of a microVM', { timeout: 600_000 }, () => {
  let directory: string;
  let server: DormouseServer;
  let resolver: Awaited<ReturnType<typeof startResolver>>;
  let vms: CounterVms;
  let vm: RunMicrovmCommandOutput;
  let token: string;
  let dns: readonly string[];
  const closing: (() => void)[] = [];

  before(async () => {
    directory = await temporaryDirectory();
    resolver = await startResolver({ after: (close) => closing.push(close) });
    dns = ['--dns-server', `127.0.0.1:${resolver.port}`];
    server = await DormouseServer.start(directory, dns);
    const context = {
      Dockerfile: 'FROM dormouse/python:3.11\nCOPY app.py /app.py\nCMD ["python3", "/app.py"]\n',
      'app.py': guestProgram,
    };
    const imageArn = await createImage(server, 'egress', await zip(context));
    assert.deepEqual(await builtImage(server, imageArn), { state: 'CREATED', reason: '' });
    vms = new CounterVms(server, imageArn);
    vm = await vms.run();
    await vms.reaches(vm, 'RUNNING');
    token = await vms.tokenFor(vm.microvmId ?? '');
  });

  after(async () => {
    await server?.stop();
    resolver?.datagrams.close();
    for (const close of closing) close();
    await removeDataDirectory(directory);
  });

  /** Lets the guest evaluate something; see the guest's program for what there is. */
  async function inGuest(action: string, query: Record<string, string | number> = {}): Promise<string> {
    const path = `/${action}?${new URLSearchParams(Object.entries(query).map(([k, v]) => [k, String(v)]))}`;
    const answer = await callEndpoint(server.ready, vm.endpoint ?? '', { token, path });
    assert.equal(answer.status, 200, answer.body);
    return answer.body;
  }

  test('this host, its link-local services and private networks are out of reach', async (t) => {
    let connections = 0;
    const count = (): void => {
      connections += 1;
    };
    const server = await listen(t, count);
    const local = await listen(t, count, '127.0.0.1');
    for (const [address, port] of [
      [host, server.port],
      ['169.254.169.254', 81],
      ['169.254.169.80', 80],
      ['10.0.0.1', 80],
      ['192.168.1.1', 443],
    ] as const) {
      assert.match(await inGuest('read', { host: address, port }), /reset/i, address);
    }
    // Loopback is the guest's own.
    assert.match(await inGuest('read', { host: '127.0.0.1', port: local.port }), /refused/i);
    assert.equal(connections, 0);
  });

  test('reaches a server of a network that the operator allows', async (t) => {
    await server.stop();
    server = await DormouseServer.start(directory, [...dns, '--egress-allow', `${host}/32`]);
    vms.server = server;
    // The port of its endpoint is a new one.
    vm = await server.client.send(new GetMicrovmCommand({ microvmIdentifier: vm.microvmId }));
    const greeter = await listen(t, (socket) => socket.end(`hello ${socket.localAddress}`));
    assert.equal(await inGuest('read', { host, port: greeter.port }), `hello ${host}`);
  });

  test('carries much data both ways, and the ends of both', async (t) => {
    const sent = randomBytes(8 * megabyte);
    const received = Promise.withResolvers<Buffer>();
    const peer = await listen(t, (socket) => {
      // Answers only after the guest has ended its side.
      const chunks: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      socket.on('end', () => {
        received.resolve(Buffer.concat(chunks));
        socket.end(sent);
      });
    });
    const said = JSON.parse(await inGuest('exchange', { host, port: peer.port, bytes: 8 * megabyte })) as {
      sent: string;
      received: string;
      count: number;
    };
    assert.equal(said.count, sent.length);
    assert.equal(said.received, sha256(sent));
    assert.equal(said.sent, sha256(await received.promise));
  });

  test('serves many connections at once', async (t) => {
    const echo = await listen(t, (socket) => socket.pipe(socket));
    assert.equal(await inGuest('many', { host, port: echo.port, count: 100 }), '100');
  });

  test('a refused connection is reset, an IPv6 one impossible at once', async (t) => {
    const closed = await listen(t, () => undefined);
    closed.close();
    await once(closed, 'close');
    assert.match(await inGuest('read', { host, port: closed.port }), /reset/i);
    assert.match(await inGuest('read', { host: '2001:db8::1', port: 80 }), /unreachable/i);
  });

  test('UDP to other machines and pings of them get no answer', async () => {
    assert.match(await inGuest('datagram', { host, port: 123 }), /refused/i);
    assert.match(await inGuest('ping', { host: '192.0.2.1' }), /timed out/);
  });

  test('resolves names, over TCP when the answer is long', async () => {
    assert.equal(await inGuest('resolve', { name: 'one.example' }), '["127.83.0.1"]');
    const many = await inGuest('resolve', { name: 'many.example' });
    assert.equal(many.split(',').length, 100, many);
  });

  test('any resolver address answers, and so answers from where it was asked', async () => {
    assert.equal(await inGuest('ask', { host: '192.0.2.53' }), '192.0.2.53 1');
  });

  test('a reset from outside reaches the guest, and one of the guest the outside', async (t) => {
    const rude = await listen(t, (socket) => socket.once('data', () => socket.resetAndDestroy()));
    // The guest may be told at its next step, or at the one after.
    assert.match(await inGuest('exchange', { host, port: rude.port, bytes: 10 }), /reset|not connected/i);

    const outcome = Promise.withResolvers<string>();
    const victim = await listen(t, (socket) => {
      socket.on('error', (error: NodeJS.ErrnoException) => outcome.resolve(error.code ?? ''));
      socket.on('end', () => outcome.resolve('ended'));
      socket.resume();
      socket.write('x');
    });
    await inGuest('abort', { host, port: victim.port });
    assert.equal(await outcome.promise, 'ECONNRESET');
  });

  test('open connections do not survive sleep, new ones work', async (t) => {
    const remote = Promise.withResolvers<string>();
    const peer = await listen(t, (socket) => {
      socket.write('held');
      socket.on('close', () => remote.resolve('closed'));
    });
    assert.equal(await inGuest('hold', { host, port: peer.port }), 'held');
    await server.client.send(new SuspendMicrovmCommand({ microvmIdentifier: vm.microvmId }));
    await vms.reaches(vm, 'SUSPENDED');
    assert.equal(await remote.promise, 'closed');
    await server.client.send(new ResumeMicrovmCommand({ microvmIdentifier: vm.microvmId }));
    assert.match(await inGuest('held'), /reset/i);
    const greeter = await listen(t, (socket) => socket.end('awake'));
    assert.equal(await inGuest('read', { host, port: greeter.port }), 'awake');
  });

  test('a customer connector opens what its policy names, and follows its changes', async (t) => {
    const greeter = await listen(t, (socket) => socket.end('hello'));
    const policy = async (document: object): Promise<void> => {
      await signedSuccess(server.ready, 'PUT', '/dormouse/v1/egress-policies/subnet-test', document);
    };
    let hellos = 0;
    const insecure = await listen(t, (socket) =>
      socket.once('data', () => {
        hellos += 1;
        socket.end('this is no TLS');
      }),
    );
    const allow = [`${host}:${greeter.port}`, `${host}:${insecure.port}`, '*.example'];
    await policy({ allow, deny: ['bad.example'] });
    const connector = await makeConnector('test');
    const other = connector.replace(/.{4}$/, 'none');
    await assert.rejects(vms.run({ egressNetworkConnectors: [other] }), {
      name: 'ResourceNotFoundException',
      message: `Network connector not found for: ${other}`,
    });
    const governed = await vms.run({ egressNetworkConnectors: [connector] });
    await inside(governed, async () => {
      assert.equal(await inGuest('read', { host, port: greeter.port }), 'hello');
      assert.match(await inGuest('read', { host, port: resolver.port }), /reset/i);
      assert.equal(await inGuest('resolve', { name: 'one.example' }), '["127.83.0.1"]');
      assert.match(await inGuest('resolve', { name: 'bad.example' }), /error/i);
      assert.match(await inGuest('resolve', { name: 'one.other' }), /error/i);
      // A denied name is refused where TLS says it, too.
      assert.match(
        await inGuest('tls', { host, port: insecure.port, name: 'one.example' }),
        /wrong version/i,
      );
      assert.match(await inGuest('tls', { host, port: insecure.port, name: 'bad.example' }), /reset|eof/i);
      assert.equal(hellos, 1);
      const refusalsPath = `/dormouse/v1/microvms/${governed.microvmId}/egress-refusals`;
      const { refusals } = await signedSuccess(server.ready, 'GET', refusalsPath);
      const refused = new Set((refusals as { target: string }[]).map(({ target }) => target));
      assert.deepEqual(refused, new Set(['one.other', 'bad.example', `${host}:${resolver.port}`]));
      const { status } = await signedRequest(server.ready, 'DELETE', connectorPath('test'));
      assert.equal(status, 409);
      await policy({ deny: [host], default: 'allow' });
      assert.match(await inGuest('read', { host, port: greeter.port }), /reset/i);
      assert.equal(await inGuest('resolve', { name: 'one.other' }), '["127.83.0.1"]');
    });
    await vms.terminate(governed);
    await signedSuccess(server.ready, 'DELETE', connectorPath('test'));
  });

  test('a microVM without ingress is not reached, awake as it is', async () => {
    const arn = managedConnectorArn(server.ready.region, 'NO_INGRESS');
    const closed = await vms.run({ ingressNetworkConnectors: [arn] });
    await vms.reaches(closed, 'RUNNING');
    const answer = await callEndpoint(server.ready, closed.endpoint ?? '', {
      token: await vms.tokenFor(closed.microvmId ?? ''),
    });
    assert.deepEqual([answer.status, answer.body], [403, 'Access to port denied']);
    await vms.terminate(closed);
  });

  test('the metadata service tells a microVM of itself, and gives it the credentials of its role', async () => {
    const credentials = '/meta-data/iam/security-credentials/';
    const named = `${credentials}execution_role`;
    const ask = async (...paths: readonly string[]): Promise<unknown[][]> =>
      JSON.parse(await inGuest('metadata', { token: 1, paths: paths.join(',') })) as unknown[][];
    const { region, accountId } = server.ready;
    assert.deepEqual(await ask('/meta-data/instance-id', '/meta-data/placement/region', credentials, named), [
      [200, vm.microvmId],
      [200, region],
      [404, 'Not Found'],
      [404, 'Not Found'],
    ]);
    const without = await inGuest('metadata', { token: '', paths: '/meta-data/instance-id' });
    assert.deepEqual(JSON.parse(without), [[401, 'Unauthorized']]);

    const policyPath = '/dormouse/v1/egress-policies/subnet-api';
    await signedSuccess(server.ready, 'PUT', policyPath, { allow: ['169.254.169.80:80'] });
    const employed = await vms.run({
      executionRoleArn: `arn:aws:iam::${accountId}:role/worker`,
      egressNetworkConnectors: [await makeConnector('api')],
    });
    await inside(employed, async () => {
      const [listing, first] = await ask(credentials, named);
      assert.deepEqual(listing, [200, 'execution_role']);
      const { Code, Type, Expiration } = JSON.parse(String(first?.[1])) as Record<string, string>;
      assert.deepEqual([Code, Type], ['Success', 'AWS-HMAC']);
      const start = employed.startedAt?.getTime() ?? 0;
      assert.equal(Math.floor((start + 55 * 60_000) / 1000), Date.parse(Expiration ?? '') / 1000);

      const url = 'http://169.254.169.80/2025-09-09/microvms';
      const list = async (): Promise<[number, string]> =>
        JSON.parse(await inGuest('signed', { url, region })) as [number, string];
      const [denied, why] = await list();
      assert.equal(denied, 403);
      assert.match(why, /assumed-role\/worker\/microvm-.* is not authorized to perform: lambda:ListMicrovms/);
      const statement = { Effect: 'Allow', Action: 'lambda:ListMicrovms', Resource: '*' };
      await signedSuccess(server.ready, 'PUT', '/dormouse/v1/roles/worker', {
        policy: JSON.stringify({ Version: '2012-10-17', Statement: [statement] }),
      });
      const [allowed, items] = await list();
      assert.equal(allowed, 200);
      assert.match(items, new RegExp(employed.microvmId ?? 'none'));
      // What is open to this machine is not to what runs in it.
      assert.match(await inGuest('fetch', { url: 'http://169.254.169.80/metrics' }), /^\[403/);
      await signedSuccess(server.ready, 'PUT', policyPath, {});
      assert.match(await inGuest('signed', { url, region }), /reset/i);

      await vms.suspend(employed);
      await server.client.send(new ResumeMicrovmCommand({ microvmIdentifier: employed.microvmId }));
      assert.deepEqual(await ask(named), [first]);
    });
    await vms.terminate(employed);
  });

  /** Lets another microVM be the one that things are done in. */
  async function inside(other: RunMicrovmCommandOutput, work: () => Promise<void>): Promise<void> {
    const [before, beforeToken] = [vm, token];
    [vm, token] = [other, await vms.tokenFor(other.microvmId ?? '')];
    try {
      await work();
    } finally {
      [vm, token] = [before, beforeToken];
    }
  }

  function connectorPath(name: string): string {
    return `/2026-04-04/network-connectors/${name}`;
  }

  /** A connector whose policy is `subnet-NAME`, once it is ACTIVE. */
  async function makeConnector(name: string): Promise<string> {
    await signedSuccess(server.ready, 'POST', '/2026-04-04/network-connectors', {
      Name: name,
      ClientToken: name,
      OperatorRole: `arn:aws:iam::${server.ready.accountId}:role/operator`,
      Configuration: {
        VpcEgressConfiguration: {
          SubnetIds: [`subnet-${name}`],
          NetworkProtocol: 'IPv4',
          AssociatedComputeResourceTypes: ['MicroVm'],
        },
      },
    });
    for (;;) {
      const { State, Arn } = await signedSuccess(server.ready, 'GET', connectorPath(name));
      if (State === 'ACTIVE') return String(Arn);
    }
  }
});

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
