/**
 * One party of the endpoint benchmark, in a process of its own so that its CPU time can be told apart:
 * `server.ts upstream`, or `server.ts ROLE SETTINGS` for the other roles. Prints one JSON
 * line once it listens.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { openLocalCertificates } from '../../src/endpoint/certificates.ts';
import { createEndpoint } from '../../src/endpoint/endpoint.ts';
import { openTokens } from '../../src/endpoint/tokens.ts';
import { systemClock } from '../../src/model/clock.ts';
import type { Microvm } from '../../src/model/microvm.ts';
import { silentGuest } from './guest-streams.ts';
import { startTlsAlone } from './tls-alone.ts';

export interface ServerSettings {
  readonly upstreamPort: number;
  /** Holds the certificates. */
  readonly directory: string;
  readonly domain: string;
}

/** What a server prints; the last three only by the endpoint. */
export interface ServerReady {
  readonly port: number;
  readonly host?: string;
  readonly token?: string;
}

const small = Buffer.alloc(128, 'x');
const block = Buffer.alloc(256 * 1024, 'dormouse');

function startUpstream(): Promise<ServerReady> {
  const server = http.createServer((request, response) => {
    if (request.method === 'POST') {
      request.resume().on('end', () => response.end(small));
      return;
    }
    if (request.url === '/') {
      response.writeHead(200, { 'content-type': 'text/plain', 'content-length': small.length }).end(small);
      return;
    }
    sendBytes(response, Number(request.url?.slice(1)));
  });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  return listen(server);
}

function sendBytes(response: http.ServerResponse, bytes: number): void {
  response.writeHead(200, { 'content-length': bytes });
  let left = bytes;
  const more = (): void => {
    while (left > 0) {
      const chunk = left < block.length ? block.subarray(0, left) : block;
      left -= chunk.length;
      if (!response.write(chunk) && left > 0) {
        response.once('drain', more);
        return;
      }
    }
    response.end();
  };
  more();
}

/** The least a TLS proxy in Node can do: one request in, one request out. */
async function startPassthrough(settings: ServerSettings): Promise<ServerReady> {
  const certificates = await openLocalCertificates({ ...settings, clock: systemClock });
  const { certificate, privateKey } = certificates.current();
  const agent = new http.Agent({ keepAlive: true });
  const target = { host: '127.0.0.1', port: settings.upstreamPort, agent };
  const server = https.createServer({ cert: certificate, key: privateKey }, (request, response) => {
    const upstream = http.request(
      { ...target, method: request.method ?? 'GET', path: request.url ?? '/', headers: request.headers },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    request.pipe(upstream);
  });
  server.on('upgrade', (request, socket, head) => {
    const upstream = http.request({ ...target, path: request.url ?? '/', headers: request.headers });
    upstream.on('upgrade', (answer, inner) => {
      const lines = answer.rawHeaders.flatMap((value, index) =>
        index % 2 === 0 ? [`${value}: `] : [value, '\r\n'],
      );
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`);
      inner.write(head);
      socket.pipe(inner).pipe(socket);
    });
    upstream.end();
  });
  return await listen(server);
}

/**
 * The same over HTTP/2 by `node:http2`: what an endpoint without a codec of its own would stand on. Headers that
 * HTTP/2 has no place for are left out, and nothing is checked.
 */
async function startPassthroughH2(settings: ServerSettings): Promise<ServerReady> {
  const certificates = await openLocalCertificates({ ...settings, clock: systemClock });
  const { certificate, privateKey } = certificates.current();
  const agent = new http.Agent({ keepAlive: true });
  const target = { host: '127.0.0.1', port: settings.upstreamPort, agent };
  const server = http2.createSecureServer({ cert: certificate, key: privateKey });
  server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    const fields = Object.entries(headers).filter(([name]) => !name.startsWith(':'));
    const upstream = http.request(
      {
        ...target,
        method: headers[':method'] ?? 'GET',
        path: headers[':path'] ?? '/',
        headers: { ...Object.fromEntries(fields), host: headers[':authority'] },
      },
      (answer) => {
        const { connection: _connection, 'keep-alive': _kept, ...answered } = answer.headers;
        stream.respond({ ':status': answer.statusCode ?? 502, ...answered });
        answer.pipe(stream);
      },
    );
    stream.pipe(upstream);
  });
  return await listen(server);
}

async function startTls(settings: ServerSettings): Promise<ServerReady> {
  const certificates = await openLocalCertificates({ ...settings, clock: systemClock });
  const { certificate, privateKey } = certificates.current();
  return { port: await startTlsAlone(certificate, privateKey) };
}

function startEndpoint(settings: ServerSettings): Promise<ServerReady> {
  return startEndpointTo(settings, async () => {
    const socket = net.connect({ port: settings.upstreamPort, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return socket;
  });
}

function startEndpointToGuest(settings: ServerSettings): Promise<ServerReady> {
  const connect = silentGuest();
  return startEndpointTo(settings, async () => connect());
}

async function startEndpointTo(
  settings: ServerSettings,
  connect: () => Promise<Duplex>,
): Promise<ServerReady> {
  const clock = systemClock;
  const certificates = await openLocalCertificates({ ...settings, clock });
  const tokens = await openTokens({ directory: settings.directory, clock });
  const vm = microvm();
  const endpoint = createEndpoint({
    backend: {
      findByEndpoint: (id) => (id === vm.endpointId ? vm : Promise.resolve(undefined)),
      connect,
      associate: () => Promise.reject(new Error('this upstream speaks TCP only')),
    },
    tokens,
    certificates,
    domain: settings.domain,
    profile: 'relaxed',
  });
  return {
    port: await endpoint.listen(0, '127.0.0.1'),
    host: `${vm.endpointId}.${settings.domain}`,
    token: await tokens.mint(vm.microvmId, [{ port: 8080 }], 60),
  };
}

function microvm(): Microvm {
  return {
    microvmId: `microvm-${randomUUID()}`,
    endpointId: randomUUID(),
    state: 'RUNNING',
    stateReason: null,
    imageArn: 'arn:aws:lambda:us-east-1:000000000000:microvm-image:bench',
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
  };
}

async function listen(server: net.Server): Promise<ServerReady> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port };
}

const roles: Readonly<Record<string, (settings: ServerSettings) => Promise<ServerReady>>> = {
  upstream: startUpstream,
  passthrough: startPassthrough,
  'passthrough-h2': startPassthroughH2,
  tls: startTls,
  endpoint: startEndpoint,
  'endpoint-to-guest': startEndpointToGuest,
};

async function main(role = '', settings = '{}'): Promise<void> {
  const start = roles[role];
  if (start === undefined) throw new Error(`no role ${role}`);
  console.log(JSON.stringify(await start(JSON.parse(settings))));
}

if (import.meta.main) await main(process.argv[2], process.argv[3]);
