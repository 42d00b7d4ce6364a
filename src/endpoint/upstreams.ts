import type { Duplex } from 'node:stream';
import { ConnectionPool } from './connection-pool.ts';
import type { Dialer } from './dialer.ts';
import { createH2Sessions } from './h2-sessions.ts';
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
   * @throws the signal's reason, once it is aborted
   */
  callH1(
    target: Target,
    request: UpstreamRequest,
    events: UpstreamEvents,
    signal: AbortSignal,
  ): Promise<UpstreamCall>;
  callH2(
    target: Target,
    request: UpstreamRequest,
    events: UpstreamEvents,
    signal: AbortSignal,
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
  const pool = new ConnectionPool({
    idleMs: limits.upstreamIdleMs,
    perKey: limits.upstreamIdlePerPort,
    total: limits.upstreamIdle,
  });
  const sessions = createH2Sessions(limits);

  function keyOf(target: Target): string {
    return `${target.microvmId}:${target.port}`;
  }

  async function callH1(
    target: Target,
    request: UpstreamRequest,
    events: UpstreamEvents,
    signal: AbortSignal,
  ): Promise<UpstreamCall> {
    const key = keyOf(target);
    const canRepeat = request.framing === 'none' && repeatable.has(request.method);
    const release = pool.put.bind(pool, key);
    const kept = pool.take(key, canRepeat ? limits.upstreamIdleMs : unrepeatableIdleMs);
    if (kept === undefined) {
      const connection = await dialer.connect(target.microvmId, target.port, signal);
      return callOverH1(connection, request, events, limits, release);
    }
    if (!canRepeat) return callOverH1(kept, request, events, limits, release);
    return callTwice(
      (first) => callOverH1(kept, request, first, limits, release),
      async () => {
        const connection = await dialer.connect(target.microvmId, target.port, signal);
        return callOverH1(connection, request, events, limits, release);
      },
      events,
    );
  }

  return {
    callH1,
    callH2(target, request, events, signal) {
      const dial = (): Promise<Duplex> => dialer.connect(target.microvmId, target.port, signal);
      return sessions.call(keyOf(target), dial, request, events);
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
      second().then((call) => {
        current = call;
        if (aborted) call.abort();
      }, events.fail);
    },
  });
  return {
    sink: current.sink,
    finish: (trailers) => current.finish(trailers),
    abort() {
      aborted = true;
      current.abort();
    },
  };
}
