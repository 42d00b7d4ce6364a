import { randomUUID } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { limits } from '../model/limits.ts';
import { ApiMetrics } from './api-metrics.ts';
import { dispatch } from './dispatch.ts';
import type { Exchange } from './http/exchange.ts';
import type { Api } from './operation.ts';
import { createPageTokens } from './page-token.ts';
import { createThrottle, ratesOf } from './rates.ts';
import type { ApiOptions, ApiServices } from './services.ts';
import { signableRequest } from './sigv4/http-request.ts';
import { createSessions } from './sts/sessions.ts';

export interface ApiServer {
  /** Starts to accept requests; port 0 picks a free one. */
  listen(port: number, host: string): Promise<AddressInfo>;
  /** Serves a connection that something in a microVM has opened, as one of the listener. */
  accept(stream: Duplex): void;
  /** Lets requests under way finish for a moment, then ends every connection. */
  close(): Promise<void>;
}

const headerBytes = 32 * 1024;
const headerCount = 128;
const headersTimeoutMs = 10_000;
const idleConnectionMs = 65_000;
/** A connection on which nothing moves for so long is given up; bodies may take their time as long as they come. */
const stalledMs = 120_000;
const closeGraceMs = 2000;
/** A stream of a guest cannot be watched for stalls as a socket can. */
const longestGuestConnectionMs = 3_600_000;

/**
 * The control plane: the service's API, the artifact bucket, STS and Dormouse's extensions on one listener.
 * Serves TLS when `tls` is given.
 */
export function createApi(
  services: ApiServices,
  options: ApiOptions & { readonly tls?: { readonly cert: string; readonly key: string } | undefined },
): ApiServer {
  const sessions = createSessions(options.pageTokenKey);
  const api: Api = {
    services,
    options,
    limits: limits[options.profile],
    pageTokens: createPageTokens(options.pageTokenKey),
    throttle: createThrottle(options.rates ?? ratesOf[options.profile], options.clock),
    liveTails: new Set(),
    sessions,
    credentials: sessions.extend(services.credentials, services.rolePolicies),
  };
  const server = createServer(options.tls);
  server.headersTimeout = headersTimeoutMs;
  server.requestTimeout = 0;
  server.keepAliveTimeout = idleConnectionMs;
  server.timeout = stalledMs;
  server.maxHeadersCount = headerCount;

  const counters = services.metrics === undefined ? undefined : new ApiMetrics(services.metrics);
  const answering = new WeakSet<Duplex>();
  const fromGuests = new WeakSet<Duplex>();
  server.on('request', (message, response) => {
    answering.add(message.socket);
    const requestId = randomUUID();
    const leaving = new AbortController();
    response.on('close', () => {
      answering.delete(message.socket);
      leaving.abort();
    });
    response.on('error', () => leaving.abort());
    message.on('error', () => leaving.abort());
    response.setHeader('x-amzn-requestid', requestId);
    const exchange: Exchange = {
      message,
      response,
      requestId,
      fromGuest: fromGuests.has(message.socket),
      request: signableRequest(message),
      signal: leaving.signal,
      subject: { service: 'none', operation: 'unknown', streamed: false },
    };
    counters?.watch(exchange);
    void dispatch(exchange, api);
  });
  server.on('clientError', (error, socket) => {
    // Anything written now would land in the middle of an answer.
    if (answering.has(socket)) socket.destroy();
    else refuseMalformed(error, socket);
  });

  return {
    async listen(port, host) {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, () => {
          server.off('error', reject);
          resolve();
        });
      });
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('the server has no port');
      return address;
    },

    accept(stream) {
      fromGuests.add(stream);
      const timer = setTimeout(() => stream.destroy(), longestGuestConnectionMs);
      stream.once('close', () => clearTimeout(timer));
      server.emit('connection', stream);
    },

    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), closeGraceMs);
      await closed;
      clearTimeout(timer);
    },
  };
}

function createServer(tls: { readonly cert: string; readonly key: string } | undefined): http.Server {
  const settings = { maxHeaderSize: headerBytes, connectionsCheckingInterval: 2000 };
  return tls === undefined ? http.createServer(settings) : https.createServer({ ...settings, ...tls });
}

/** What the HTTP parser refuses, before there is a request. */
function refuseMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : '400 Bad Request';
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
}
