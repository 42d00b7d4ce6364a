import type { Duplex } from 'node:stream';
import type { Microvm } from '../model/microvm.ts';
import { ConnectionPool } from './connection-pool.ts';
import type { Departure } from './departure.ts';
import { createH2Sessions, type H2Way } from './h2-sessions.ts';
import { ClientConnection } from './http1/client-connection.ts';
import type { EndpointLimits } from './options.ts';
import type { ShapedDialer } from './shaping/shaping.ts';
import type { UpstreamCall, UpstreamEvents, UpstreamRequest } from './upstream.ts';
import { callOverH1 } from './upstream-h1.ts';

export interface Target {
  readonly vm: Microvm;
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
  ): UpstreamCall | Promise<UpstreamCall>;
  callH2(
    target: Target,
    request: UpstreamRequest,
    events: UpstreamEvents,
    left: Departure,
  ): UpstreamCall | Promise<UpstreamCall>;
  close(): void;
}

/**
 * A request that must not be sent twice takes a kept connection only this soon after its last use, when the
 * application cannot be about to close it for being idle.
 */
const unrepeatableIdleMs = 250;

/**
 * Sent again where the application closed a kept connection just when they came: they are to change nothing
 * (RFC 9110, section 9.2.1). Nothing is sent again that was on its way into a microVM as that was put to sleep:
 * the application has it still, and goes on with it when it is woken.
 */
const repeatable: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

export function createUpstreams(dialer: ShapedDialer, limits: EndpointLimits): Upstreams {
  const pool = new ConnectionPool<ClientConnection>({
    idleMs: limits.upstreamIdleMs,
    perKey: limits.upstreamIdlePerPort,
    total: limits.upstreamIdle,
  });
  const sessions = createH2Sessions(limits);

  function keep(key: string, stream: Duplex): ClientConnection {
    const connection = new ClientConnection(stream, limits);
    connection.onIdle = () => pool.put(key, connection);
    return connection;
  }

  function callH1(
    target: Target,
    request: UpstreamRequest,
    events: UpstreamEvents,
    left: Departure,
  ): UpstreamCall | Promise<UpstreamCall> {
    const key = keyOf(target);
    const canRepeat = request.framing === 'none' && repeatable.has(request.method);
    const kept = isAwake(target)
      ? pool.take(key, canRepeat ? limits.upstreamIdleMs : unrepeatableIdleMs)
      : undefined;
    // The request is sent in the turn in which the connection comes, as an upgrade is: those that were held keep
    // their order.
    const dialled = (): Promise<UpstreamCall> =>
      dialer
        .connect(target.vm, target.port, left.signal)
        .then((stream) => callOverH1(keep(key, stream), request, events));
    if (kept === undefined) return dialled();
    if (!canRepeat) return callOverH1(kept, request, events);
    const begun = performance.now();
    return callOverH1(kept, request, events, (error) => {
      if (performance.now() - begun > limits.repeatWithinMs) return events.fail(error);
      dialled().then(
        (call) => events.attach(call),
        (reason) => events.fail(reason),
      );
    });
  }

  return {
    callH1,
    callH2(target, request, events, left) {
      const { vm, port } = target;
      const way: H2Way = {
        key: keyOf(target),
        fresh: !isAwake(target),
        dial: (signal) => dialer.connect(vm, port, signal),
        join: (opening, signal) => dialer.join(vm.microvmId, opening, signal),
      };
      return sessions.call(way, request, events, left);
    },
    close() {
      pool.close();
      sessions.close();
    },
  };
}

/** One that falls asleep would still take a request and be cut off at it: it is for after the wake. */
function isAwake(target: Target): boolean {
  return target.vm.state === 'RUNNING';
}

function keyOf(target: Target): string {
  return `${target.vm.microvmId}:${target.port}`;
}
