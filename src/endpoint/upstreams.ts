import type { Duplex } from 'node:stream';
import { ConnectionPool } from './connection-pool.ts';
import type { Departure } from './departure.ts';
import type { Dialer } from './dialer.ts';
import { createH2Sessions } from './h2-sessions.ts';
import { ClientConnection } from './http1/client-connection.ts';
import type { EndpointLimits } from './options.ts';
import type { UpstreamCall, UpstreamEvents, UpstreamRequest } from './upstream.ts';
import { callOverH1 } from './upstream-h1.ts';

export interface Target {
  readonly microvmId: string;
  readonly port: number;
}

/** Requests to applications, over connections kept for a while. */
export interface Upstreams {
  /**
   * @throws {RefusedError} the microVM or its port cannot be reached
   * @throws the reason of the departure's signal, once the client has left
   */
  callH1(
    target: Target,
    request: UpstreamRequest,
    events: UpstreamEvents,
    left: Departure,
  ): Promise<UpstreamCall>;
  callH2(
    target: Target,
    request: UpstreamRequest,
    events: UpstreamEvents,
    left: Departure,
  ): Promise<UpstreamCall>;
  close(): void;
}

/**
 * A request that cannot be sent twice takes a kept connection only this soon after its last use, when the
 * application cannot be about to close it for being idle.
 */
const unrepeatableIdleMs = 250;

const repeatable: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);

export function createUpstreams(dialer: Dialer, limits: EndpointLimits): Upstreams {
  const pool = new ConnectionPool<ClientConnection>({
    idleMs: limits.upstreamIdleMs,
    perKey: limits.upstreamIdlePerPort,
    total: limits.upstreamIdle,
  });
  const sessions = createH2Sessions(limits);

  async function dial(key: string, target: Target, left: Departure): Promise<ClientConnection> {
    const stream = await dialer.connect(target.microvmId, target.port, left.signal);
    const connection = new ClientConnection(stream, limits);
    connection.onIdle = () => pool.put(key, connection);
    return connection;
  }

  async function callH1(
    target: Target,
    request: UpstreamRequest,
    events: UpstreamEvents,
    left: Departure,
  ): Promise<UpstreamCall> {
    const key = keyOf(target);
    const canRepeat = request.framing === 'none' && repeatable.has(request.method);
    const kept = pool.take(key, canRepeat ? limits.upstreamIdleMs : unrepeatableIdleMs);
    if (kept === undefined) return callOverH1(await dial(key, target, left), request, events);
    if (!canRepeat) return callOverH1(kept, request, events);
    return callTwice(
      (first) => callOverH1(kept, request, first),
      async () => callOverH1(await dial(key, target, left), request, events),
      events,
    );
  }

  return {
    callH1,
    callH2(target, request, events, left) {
      const open = (): Promise<Duplex> => dialer.connect(target.microvmId, target.port, left.signal);
      return sessions.call(keyOf(target), open, request, events);
    },
    close() {
      pool.close();
      sessions.close();
    },
  };
}

/** Starts `first`; when that fails before the application has said anything, starts `second` in its place. */
function callTwice(
  first: (events: UpstreamEvents) => UpstreamCall,
  second: () => Promise<UpstreamCall>,
  events: UpstreamEvents,
): UpstreamCall {
  let heard = false;
  let aborted = false;
  let current = first({
    write: (chunk) => events.write(chunk),
    finish: (trailers) => events.finish(trailers),
    drain: () => events.drain(),
    inform(status, headers) {
      heard = true;
      events.inform(status, headers);
    },
    respond(response) {
      heard = true;
      events.respond(response);
    },
    fail(error) {
      if (heard) return events.fail(error);
      second().then(
        (call) => {
          current = call;
          if (aborted) call.abort();
        },
        (reason) => events.fail(reason),
      );
    },
  });
  return {
    write: (chunk) => current.write(chunk),
    finish: (trailers) => current.finish(trailers),
    resume: () => current.resume(),
    abort() {
      aborted = true;
      current.abort();
    },
  };
}

function keyOf(target: Target): string {
  return `${target.microvmId}:${target.port}`;
}
