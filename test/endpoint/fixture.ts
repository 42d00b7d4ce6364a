import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';
import tls from 'node:tls';
import { type Certificates, openLocalCertificates } from '../../src/endpoint/certificates.ts';
import { createEndpoint, type Endpoint, type EndpointOptions } from '../../src/endpoint/endpoint.ts';
import type { Exec } from '../../src/endpoint/shell.ts';
import { openTokens, type Tokens } from '../../src/endpoint/tokens.ts';
import { MicrovmUnreachableError } from '../../src/microvms/microvm-service.ts';
import { type Clock, systemClock } from '../../src/model/clock.ts';
import type { Microvm } from '../../src/model/microvm.ts';
import { hostDatagrams } from '../support/host-datagrams.ts';

/** Body of a 502 where the application is to blame. */
export const noAnswer = 'The application gave no answer that can be passed on\n';

export const domain = 'microvm.localhost';

/** An endpoint in front of one microVM whose ports are servers of this process. */
export interface Fixture {
  readonly endpoint: Endpoint;
  readonly tokens: Tokens;
  readonly vm: Microvm;
  readonly port: number;
  /** `<endpoint id>.microvm.localhost` */
  readonly host: string;
  readonly ca: string;
  readonly caPath: string;
  /** Valid for all ports. */
  readonly token: string;
  /** Connections opened into the microVM so far. */
  readonly connections: Duplex[];
  /** Errors told to the operator. */
  readonly errors: unknown[];
  /** Makes a server reachable as a port inside the microVM. */
  expose(guestPort: number, server: net.Server): Promise<void>;
  /** The same for a server that already listens on a port of this machine. */
  exposePort(guestPort: number, port: number): void;
}

export interface FixtureOptions extends Partial<Pick<EndpointOptions, 'limits' | 'profile'>> {
  /** Replaces the way into the microVM; `dial` is the usual one. */
  readonly connect?: (port: number, signal: AbortSignal, dial: () => Promise<Duplex>) => Promise<Duplex>;
  readonly vm?: Partial<Microvm>;
  readonly exec?: Exec;
  /** What tokens expire by. */
  readonly clock?: Pick<Clock, 'now'>;
}

let shared: Promise<Certificates> | undefined;

/** One authority for all tests of a file: making one takes longer than most of the tests. */
function sharedCertificates(): Promise<Certificates> {
  shared ??= mkdtemp(path.join(os.tmpdir(), 'dormouse-endpoint-ca-')).then((directory) => {
    process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
    return openLocalCertificates({ directory, domain, clock: systemClock });
  });
  return shared;
}

export async function startEndpoint(t: TestContext, options: FixtureOptions = {}): Promise<Fixture> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-endpoint-'));
  const certificates = await sharedCertificates();
  const tokens = await openTokens({ directory, clock: options.clock ?? systemClock });
  const vm = fakeMicrovm(options.vm);
  const ports = new Map<number, number>();
  const connections: Duplex[] = [];
  const errors: unknown[] = [];

  async function dial(port: number): Promise<Duplex> {
    const local = ports.get(port);
    if (local === undefined) throw new MicrovmUnreachableError('APP_CONNECT_FAILED', 'nothing listens');
    const socket = net.connect({ port: local, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    await once(socket, 'connect');
    connections.push(socket);
    return socket;
  }

  const endpoint = createEndpoint({
    backend: {
      ...(options.exec === undefined ? {} : { exec: options.exec }),
      findByEndpoint: async (id) => (id === vm.endpointId ? vm : undefined),
      connect: (_id, port, signal) =>
        options.connect === undefined ? dial(port) : options.connect(port, signal, () => dial(port)),
      associate: async (_id, port, onDatagram) => {
        const local = ports.get(port);
        if (local === undefined) throw new MicrovmUnreachableError('APP_CONNECT_FAILED', 'nothing listens');
        return await hostDatagrams(local, onDatagram);
      },
    },
    tokens,
    certificates,
    domain,
    profile: options.profile ?? 'relaxed',
    limits: options.limits ?? {},
    onError: (error) => errors.push(error),
  });
  const port = await endpoint.listen(0, '127.0.0.1');
  t.after(async () => {
    await endpoint.close();
    await rm(directory, { recursive: true });
  });
  return {
    endpoint,
    tokens,
    vm,
    port,
    host: `${vm.endpointId}.${domain}`,
    ca: await readFile(certificates.caCertificatePath, 'utf8'),
    caPath: certificates.caCertificatePath,
    token: await tokens.mint(vm.microvmId, [{ allPorts: {} }], 5),
    connections,
    errors,
    exposePort: (guestPort, local) => void ports.set(guestPort, local),
    async expose(guestPort, server) {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      ports.set(guestPort, (server.address() as AddressInfo).port);
      const open = new Set<net.Socket>();
      server.on('connection', (socket: net.Socket) => {
        open.add(socket);
        socket.on('error', () => undefined);
        socket.once('close', () => open.delete(socket));
      });
      t.after(() => {
        server.close();
        for (const socket of open) socket.destroy();
      });
    },
  };
}

export function fakeMicrovm(overrides: Partial<Microvm> = {}): Microvm {
  return {
    microvmId: `microvm-${randomUUID()}`,
    endpointId: randomUUID(),
    state: 'RUNNING',
    stateReason: null,
    imageArn: 'arn:aws:lambda:us-east-1:000000000000:microvm-image:test',
    imageVersion: '1.0',
    executionRoleArn: null,
    idlePolicy: null,
    logging: null,
    maximumDurationInSeconds: 28_800,
    ingressNetworkConnectors: [],
    egressNetworkConnectors: [],
    memoryMib: 512,
    startedAt: 0,
    suspendedAt: null,
    terminatedAt: null,
    ...overrides,
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly rawHeaders: readonly string[];
  readonly body: string;
  readonly trailers: Readonly<Record<string, string | undefined>>;
  readonly informational: readonly number[];
}

export interface Ask {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: string | Buffer;
  /** Omits the token. */
  readonly anonymous?: boolean;
  readonly agent?: https.Agent;
}

/** One request over HTTP/1.1 with Node's own client. */
export async function ask(fixture: Fixture, request: Ask = {}): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const informational: number[] = [];
  const outgoing = https.request(
    {
      host: '127.0.0.1',
      port: fixture.port,
      servername: fixture.host,
      ca: fixture.ca,
      method: request.method ?? 'GET',
      path: request.path ?? '/',
      agent: request.agent ?? false,
      headers: {
        host: fixture.host,
        ...(request.anonymous === true ? {} : { 'x-aws-proxy-auth': fixture.token }),
        ...request.headers,
      } satisfies http.OutgoingHttpHeaders,
    },
    (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          rawHeaders: response.rawHeaders,
          body: Buffer.concat(chunks).toString(),
          trailers: response.trailers,
          informational,
        }),
      );
    },
  );
  outgoing.on('information', (info) => informational.push(info.statusCode));
  outgoing.on('error', reject);
  outgoing.end(request.body);
  return await promise;
}

/** A TLS connection with an HTTP/1.1 ALPN, for bytes no client library would send. */
export async function rawConnection(fixture: Fixture): Promise<tls.TLSSocket> {
  const socket = tls.connect({
    host: '127.0.0.1',
    port: fixture.port,
    servername: fixture.host,
    ca: fixture.ca,
    ALPNProtocols: ['http/1.1'],
  });
  socket.allowHalfOpen = true;
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  return socket;
}

/** Sends bytes and returns all that comes back until the connection is closed. */
export async function rawExchange(fixture: Fixture, bytes: string): Promise<string> {
  const socket = await rawConnection(fixture);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.write(bytes, 'latin1');
  socket.on('end', () => socket.end());
  await once(socket, 'close');
  return Buffer.concat(chunks).toString('latin1');
}

/** Every name is this machine. */
export const lookupLoopback: net.LookupFunction = (_host, options, done) => {
  if (options.all === true) done(null, [{ address: '127.0.0.1', family: 4 }]);
  else done(null, '127.0.0.1', 4);
};

/** An HTTP/2 connection to the endpoint, closed with the test. */
export async function h2Session(t: TestContext, fixture: Fixture): Promise<http2.ClientHttp2Session> {
  const session = http2.connect(`https://${fixture.host}:${fixture.port}`, {
    ca: fixture.ca,
    lookup: lookupLoopback,
  });
  session.on('error', () => undefined);
  t.after(() => session.destroy());
  await once(session, 'remoteSettings');
  return session;
}

export function h2Headers(
  fixture: Fixture,
  headers: http2.OutgoingHttpHeaders = {},
): http2.OutgoingHttpHeaders {
  return {
    ':path': '/',
    ':authority': fixture.host,
    'x-aws-proxy-auth': fixture.token,
    ...headers,
  };
}

/** One request over HTTP/2 with Node's own client. */
export async function askH2(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body?: string | Buffer,
): Promise<Answer> {
  const stream = session.request(headers, { endStream: body === undefined });
  const informational: number[] = [];
  const chunks: Buffer[] = [];
  let trailers: Record<string, string | undefined> = {};
  let head: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
  stream.on('headers', (info) => informational.push(info[':status'] ?? 0));
  stream.on('response', (received) => {
    head = received;
  });
  stream.on('trailers', (received) => {
    trailers = Object.fromEntries(Object.entries(received).map(([name, value]) => [name, String(value)]));
  });
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  if (body !== undefined) stream.end(body);
  await once(stream, 'close');
  return {
    status: head[':status'] ?? 0,
    headers: head,
    rawHeaders: [],
    body: Buffer.concat(chunks).toString(),
    trailers,
    informational,
  };
}
