import type { AddressInfo } from 'node:net';
import tls, { type TLSSocket } from 'node:tls';
import type { MicrovmService } from '../microvms/microvm-service.ts';
import { systemClock } from '../model/clock.ts';
import { createDoorkeeper } from './admission.ts';
import { noteCarriers } from './break-off.ts';
import type { Certificates } from './certificates.ts';
import { createDialer } from './dialer.ts';
import { ServerConnection as H1Connection } from './http1/server-connection.ts';
import { ServerConnection as H2Connection } from './http2/server-connection.ts';
import { type EndpointLimits, endpointLimits } from './options.ts';
import { serveExchange } from './proxy.ts';
import { shapeDialer } from './shaping/shaping.ts';
import type { Exec } from './shell.ts';
import { type EndpointTotals, Tally } from './tally.ts';
import type { Tokens } from './tokens.ts';
import { Traffic } from './traffic.ts';
import { serveUpgrade, type UpgradeContext } from './upgrade.ts';
import { createUpstreams } from './upstreams.ts';

export interface EndpointOptions {
  readonly backend: Pick<MicrovmService, 'findByEndpoint' | 'connect' | 'associate'> & {
    /** Without it shell tokens open nothing. */
    readonly exec?: Exec;
    /** Told of requests that begin (1) and are over (-1). */
    countRequest?(microvmId: string, by: 1 | -1): void;
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

type ConnectionOptions = ConstructorParameters<typeof H1Connection>[1] &
  ConstructorParameters<typeof H2Connection>[1];

const sweepMs = 5000;
const renewMs = 3600 * 1000;

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
    countRequest: options.backend.countRequest?.bind(options.backend),
    limits,
    onError,
  };
  const sockets = new Set<TLSSocket>();
  const tally = new Tally(sockets);
  const connections = new Set<H1Connection | H2Connection>();
  const connectionOptions = (kind: 'http/1.1' | 'http/2'): ConnectionOptions => ({
    limits,
    now: () => performance.now(),
    serve(exchange) {
      tally.request(kind);
      serveExchange(exchange, context);
    },
    upgrade(client) {
      tally.request('upgrade');
      void serveUpgrade(client, context);
    },
    onRefuse: ({ error }) => tally.refused(error),
    onError: (error) => onError(error, { requestId: 'connection' }),
  });
  const h1Options = connectionOptions('http/1.1');
  const h2Options = connectionOptions('http/2');
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
    const connection =
      socket.alpnProtocol === 'h2'
        ? new H2Connection(socket, h2Options)
        : new H1Connection(socket, h1Options);
    connections.add(connection);
    socket.once('close', () => {
      connections.delete(connection);
      connection.presence.end();
    });
  });
  const { headersTimeoutMs, keepAliveTimeoutMs, idleTimeoutMs, totalTimeMs } = limits;
  // Silence is looked for several times within its limit.
  const shortestTime = Math.min(headersTimeoutMs, keepAliveTimeoutMs, totalTimeMs, idleTimeoutMs / 4);
  const timers = [
    setInterval(sweep, sweepMs),
    setInterval(() => void renew(), renewMs),
    // One timer for all connections: most of theirs would be for nothing.
    setInterval(checkTimes, Math.min(1000, shortestTime / 4)),
  ];
  for (const timer of timers) timer.unref();

  function sweep(): void {
    traffic.sweep();
    shaped.sweep();
  }

  function checkTimes(): void {
    for (const connection of connections) connection.checkTime();
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
      for (const connection of connections) connection.destroy();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function secureContextOf(certificates: Certificates): { readonly cert: string; readonly key: string } {
  const { certificate, privateKey } = certificates.current();
  return { cert: certificate, key: privateKey };
}
