import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import tls, { type TLSSocket } from 'node:tls';
import type { MicrovmService } from '../microvms/microvm-service.ts';
import { systemClock } from '../model/clock.ts';
import { createDoorkeeper } from './admission.ts';
import { noteCarriers } from './break-off.ts';
import type { Certificates } from './certificates.ts';
import { createDialer } from './dialer.ts';
import type { Exchange } from './exchange.ts';
import { exchangeOverH2, readH2Head } from './exchange-h2.ts';
import type { RequestFields } from './fields.ts';
import { ServerConnection } from './http1/server-connection.ts';
import { IdleSessions } from './idle-sessions.ts';
import { type EndpointLimits, endpointLimits } from './options.ts';
import { serveExchange } from './proxy.ts';
import { shapeDialer } from './shaping/shaping.ts';
import type { Exec } from './shell.ts';
import { type EndpointTotals, Tally } from './tally.ts';
import { TokenMemory, type Tokens } from './tokens.ts';
import { Traffic } from './traffic.ts';
import { serveUpgrade, type UpgradeContext } from './upgrade.ts';
import { type UpgradeClient, upgradeOverH2 } from './upgrade-client.ts';
import { createUpstreams } from './upstreams.ts';

export interface EndpointOptions {
  readonly backend: Pick<MicrovmService, 'findByEndpoint' | 'connect' | 'associate'> & {
    /** Without it shell tokens open nothing. */
    readonly exec?: Exec;
  };
  readonly tokens: Pick<Tokens, 'verify' | 'recall'>;
  readonly certificates: Certificates;
  /** Domain below which every microVM has its host name. */
  readonly domain: string;
  readonly profile: 'relaxed' | 'aws';
  /** Replaces single limits of the profile. */
  readonly limits?: Partial<EndpointLimits>;
  /** Told about failures nobody else hears of. */
  readonly onError?: UpgradeContext['onError'];
}

export interface EndpointStatus extends EndpointTotals {
  /** Open client connections. */
  readonly connections: number;
  /** Requests waiting for their microVM to be reachable. */
  readonly waiting: number;
}

/** The data plane: one TLS listener for the endpoints of all microVMs (spec section 5). */
export interface Endpoint {
  /** @param port 0 picks a free one; resolves with the one in use */
  listen(port: number, host: string): Promise<number>;
  status(): EndpointStatus;
  /** Breaks off everything under way and frees the port. */
  close(): Promise<void>;
}

const sweepMs = 5000;
const renewMs = 12 * 3600 * 1000;

export function createEndpoint(options: EndpointOptions): Endpoint {
  const limits: EndpointLimits = { ...endpointLimits[options.profile], ...options.limits };
  const onError = options.onError ?? (() => undefined);
  const dialer = createDialer({ backend: options.backend, limits, profile: options.profile });
  const shaped = shapeDialer(
    dialer,
    ({ memoryMib }) => (memoryMib / 1024) * limits.bytesPerSecondPerGib,
    systemClock,
  );
  const traffic = new Traffic(() => performance.now());
  const context: UpgradeContext = {
    doorkeeper: createDoorkeeper(options),
    traffic,
    upstreams: createUpstreams(shaped, limits),
    dialer: shaped,
    exec: options.backend.exec?.bind(options.backend),
    limits,
    onError,
  };
  const sockets = new Set<TLSSocket>();
  const tally = new Tally(sockets);
  const h1 = new Set<ServerConnection>();
  const h2 = new IdleSessions(() => performance.now());
  const h1Options = {
    limits,
    now: () => performance.now(),
    serve(exchange: Exchange): void {
      tally.request('http/1.1');
      serveExchange(exchange, context);
    },
    upgrade(client: UpgradeClient): void {
      tally.request('upgrade');
      void serveUpgrade(client, context);
    },
    onError: (error: unknown) => onError(error, { requestId: 'connection' }),
  };
  const listener = tls.createServer({
    ...secureContextOf(options.certificates),
    ALPNProtocols: ['h2', 'http/1.1'],
    minVersion: 'TLSv1.2',
    handshakeTimeout: limits.handshakeTimeoutMs,
    noDelay: true,
  });
  listener.maxConnections = limits.connections;
  noteCarriers(listener);
  // Also the end of a handshake that takes too long.
  listener.on('tlsClientError', (_error, socket) => socket.destroy());
  listener.on('secureConnection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      tally.closed(socket);
    });
    socket.on('error', () => undefined);
    if (socket.alpnProtocol === 'h2') h2.watch(serveH2(socket, context, tally));
    else serveH1(socket);
  });
  const timers = [
    setInterval(sweep, sweepMs),
    setInterval(() => void renew(), renewMs),
    // One timer for all connections: most of theirs would be for nothing.
    setInterval(checkTimes, Math.min(1000, limits.headersTimeoutMs / 4, limits.keepAliveTimeoutMs / 4)),
  ];
  for (const timer of timers) timer.unref();

  function serveH1(socket: TLSSocket): void {
    const connection = new ServerConnection(socket, h1Options);
    h1.add(connection);
    socket.once('close', () => h1.delete(connection));
  }

  function sweep(): void {
    traffic.sweep();
    shaped.sweep();
  }

  function checkTimes(): void {
    for (const connection of h1) connection.checkTime();
    h2.sweep(limits.keepAliveTimeoutMs);
  }

  async function renew(): Promise<void> {
    try {
      if (await options.certificates.renew()) {
        listener.setSecureContext(secureContextOf(options.certificates));
      }
    } catch (error) {
      onError(error, { requestId: 'certificate-renewal' });
    }
  }

  return {
    async listen(port, host) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      listener.once('error', reject);
      listener.listen({ port, host }, resolve);
      await promise;
      listener.off('error', reject);
      return (listener.address() as AddressInfo).port;
    },
    status: () => ({ connections: sockets.size, waiting: dialer.waiting(), ...tally.totals() }),
    async close() {
      for (const timer of timers) clearInterval(timer);
      context.upstreams.close();
      const closed = new Promise<void>((resolve) => listener.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function secureContextOf(certificates: Certificates): { readonly cert: string; readonly key: string } {
  const { certificate, privateKey } = certificates.current();
  return { cert: certificate, key: privateKey };
}

/** Serves the streams of one HTTP/2 connection. */
function serveH2(socket: TLSSocket, context: UpgradeContext, tally: Tally): http2.ServerHttp2Session {
  const { limits } = context;
  const session = http2.performServerHandshake(socket, {
    maxHeaderListPairs: limits.headerCount,
    maxSessionMemory: 64,
    // HTTP/1.1 applications send what they like twice; it is not ours to judge.
    strictSingleValueFields: false,
    settings: {
      enableConnectProtocol: true,
      initialWindowSize: limits.streamWindowBytes,
      maxConcurrentStreams: limits.concurrentStreams,
      maxHeaderListSize: limits.headerBytes,
    },
  });
  session.on('error', () => undefined);
  session.setTimeout(limits.idleTimeoutMs, () => session.destroy());
  session.setLocalWindowSize(limits.connectionWindowBytes);
  const memory = new TokenMemory();
  let last: RequestFields | undefined;
  session.on('stream', (stream, _headers, _flags, rawHeaders) => {
    const head = readH2Head(rawHeaders, last);
    last = head.fields;
    tally.request(head.protocol === undefined ? 'http/2' : 'upgrade');
    if (head.protocol !== undefined) void serveUpgrade(upgradeOverH2(stream, head, memory), context);
    else serveExchange(exchangeOverH2(stream, head, memory), context);
  });
  return session;
}
