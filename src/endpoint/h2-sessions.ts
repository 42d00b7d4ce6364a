import type { ClientHttp2Session } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { EndpointLimits } from './options.ts';
import { badGateway, RefusedError } from './refusals.ts';
import type { UpstreamCall, UpstreamEvents, UpstreamRequest } from './upstream.ts';
import { callOverH2, openH2Session } from './upstream-h2.ts';

/** HTTP/2 sessions with applications, one per port of a microVM, shared by the requests to it. */
export interface H2Sessions {
  /**
   * @param fresh whether a session that is open already must not be taken
   * @throws {RefusedError} the application does not speak HTTP/2
   * @throws whatever `dial` throws
   */
  call(
    key: string,
    fresh: boolean,
    dial: () => Promise<Duplex>,
    request: UpstreamRequest,
    events: UpstreamEvents,
  ): Promise<UpstreamCall>;
  close(): void;
}

interface Shared {
  readonly session: ClientHttp2Session;
  streams: number;
  idle: NodeJS.Timeout | undefined;
}

export function createH2Sessions(limits: EndpointLimits): H2Sessions {
  const byKey = new Map<string, Shared>();

  async function open(key: string, connection: Duplex): Promise<Shared> {
    try {
      const session = await openH2Session(connection, limits);
      const shared: Shared = { session, streams: 0, idle: undefined };
      const forget = (): void => {
        clearTimeout(shared.idle);
        if (byKey.get(key) === shared) byKey.delete(key);
      };
      session.once('close', forget);
      session.once('goaway', forget);
      byKey.set(key, shared);
      return shared;
    } catch (error) {
      throw new RefusedError(badGateway('BAD_GATEWAY'), { cause: error });
    }
  }

  return {
    async call(key, fresh, dial, request, events) {
      const known = fresh ? undefined : byKey.get(key);
      const usable = known !== undefined && !known.session.closed && !known.session.destroyed;
      const shared = usable ? known : await open(key, await dial());
      clearTimeout(shared.idle);
      shared.streams += 1;
      return callOverH2(shared.session, request, events, () => {
        shared.streams -= 1;
        if (shared.streams > 0) return;
        shared.idle = setTimeout(() => shared.session.close(), limits.upstreamIdleMs);
        shared.idle.unref();
      });
    },
    close() {
      for (const { session } of byKey.values()) session.destroy();
    },
  };
}
