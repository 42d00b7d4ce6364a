import type { ClientHttp2Session } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { Departure } from './departure.ts';
import { H2Opening } from './h2-opening.ts';
import type { EndpointLimits } from './options.ts';
import { badGateway, RefusedError } from './refusals.ts';
import type { UpstreamCall, UpstreamEvents, UpstreamRequest } from './upstream.ts';
import { callOverH2, openH2Session } from './upstream-h2.ts';

/** The way to one port of a microVM. */
export interface H2Way {
  /** Names the port among all of all microVMs. */
  readonly key: string;
  /** Whether a session that is open already must not be taken. */
  readonly fresh: boolean;
  dial(signal: AbortSignal): Promise<Duplex>;
  /** Waits for what another request dials, within the bounds that hold for dialling. */
  join<Way>(opening: Promise<Way>, signal: AbortSignal): Promise<Way>;
}

/** HTTP/2 sessions with applications, one per port of a microVM, shared by the requests to it. */
export interface H2Sessions {
  /**
   * @throws {RefusedError} the application does not speak HTTP/2
   * @throws whatever `dial` and `join` throw
   * @throws the reason of the departure's signal, once the client has left
   */
  call(
    way: H2Way,
    request: UpstreamRequest,
    events: UpstreamEvents,
    left: Departure,
  ): UpstreamCall | Promise<UpstreamCall>;
  close(): void;
}

interface Shared {
  readonly session: ClientHttp2Session;
  streams: number;
  idle: NodeJS.Timeout | undefined;
}

export function createH2Sessions(limits: EndpointLimits): H2Sessions {
  const open = new Map<string, Shared>();
  const openings = new Map<string, H2Opening<Shared>>();

  async function establish(key: string, connection: Duplex): Promise<Shared> {
    try {
      const session = await openH2Session(connection, limits);
      const shared: Shared = { session, streams: 0, idle: undefined };
      const forget = (): void => {
        clearTimeout(shared.idle);
        if (open.get(key) === shared) open.delete(key);
      };
      session.once('close', forget);
      session.once('goaway', forget);
      open.set(key, shared);
      rest(shared);
      return shared;
    } catch (error) {
      throw new RefusedError(badGateway('BAD_GATEWAY'), { cause: error });
    }
  }

  /** Closes a session that nobody uses for a while. */
  function rest(shared: Shared): void {
    shared.idle = setTimeout(() => shared.session.close(), limits.upstreamIdleMs);
    shared.idle.unref();
  }

  /** One that the request may share, or a new one. */
  function openingFor({ key, fresh, dial }: H2Way): H2Opening<Shared> {
    const known = openings.get(key);
    if (known?.isFor(fresh) === true) return known;
    const opening = new H2Opening({ fresh, dial, establish: (connection) => establish(key, connection) });
    openings.set(key, opening);
    void opening.whenOver.then(() => {
      if (openings.get(key) === opening) openings.delete(key);
    });
    return opening;
  }

  function start(shared: Shared, request: UpstreamRequest, events: UpstreamEvents): UpstreamCall {
    clearTimeout(shared.idle);
    shared.streams += 1;
    return callOverH2(shared.session, request, events, () => {
      shared.streams -= 1;
      if (shared.streams === 0) rest(shared);
    });
  }

  return {
    call(way, request, events, left) {
      const shared = way.fresh ? undefined : open.get(way.key);
      if (shared !== undefined && !shared.session.closed && !shared.session.destroyed) {
        return start(shared, request, events);
      }
      const { signal } = left;
      return openingFor(way)
        .wait(way.join, signal)
        .then((opened) => {
          signal.throwIfAborted();
          return start(opened, request, events);
        });
    },
    close() {
      for (const { session } of open.values()) session.destroy();
    },
  };
}
