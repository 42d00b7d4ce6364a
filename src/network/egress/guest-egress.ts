import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { EgressRefusal } from '../../model/egress-refusal.ts';
import type { EgressConnection, EgressHandler } from '../../model/guest-egress.ts';
import { failure, fitDatagram, isQuery, isRequest, responseCode } from '../names/dns-message.ts';
import { serveNamesOver } from '../names/dns-over-tcp.ts';
import { askedName, readAnswer } from '../names/dns-records.ts';
import type { NameService } from '../names/name-service.ts';
import { GuestNetworkError } from '../network-error.ts';
import { TokenBucket } from '../token-bucket.ts';
import { dial } from './dial.ts';
import type { EgressPolicy } from './egress-policy.ts';
import { ServerNameGuard } from './server-name-guard.ts';
import type { ToldAddresses } from './told-addresses.ts';

/** Look-ups of one guest: under way at once, per second in the long run, and in a burst. */
const queriesAtOnce = 64;
const queriesPerSecond = 100;
const queryBurst = 200;
const keepAliveMs = 60_000;
/** How a query is called that no policy can judge by its name. */
const notPlain = 'what is no plain question for one name';
/** Where a guest's /etc/resolv.conf, and the service's own resolver address, point. */
const resolverAddresses = ['127.0.0.2:53', '169.254.53.53:53'];

/** Serves one connection of a guest in this process instead of connecting it to another machine. */
export type GuestService = (stream: Duplex) => void;

export interface GuestEgressOptions {
  /** The policy as it is now: asked anew for each connection and each look-up. */
  readonly policy: () => EgressPolicy;
  readonly names: NameService;
  /** What the guest has been told, by this session and by earlier ones. */
  readonly told: ToldAddresses;
  /** Services of the platform by `address:port`; they are reached whatever the policy says. */
  readonly services?: ReadonlyMap<string, GuestService>;
  /** Likewise, but reached only if the policy allows the address. */
  readonly governed?: ReadonlyMap<string, GuestService>;
  /** Told of what the policy refuses. */
  readonly onRefused?: (kind: EgressRefusal['kind'], target: string) => void;
}

/** Makes one guest's connections and look-ups, as far as its policy allows. */
export function createGuestEgress(options: GuestEgressOptions): EgressHandler {
  const { policy, names, told, services, governed, onRefused = () => undefined } = options;
  const bucket = new TokenBucket(queriesPerSecond, queryBurst);
  let underWay = 0;

  /** Notes what the guest learns by an answer, as far as its policy speaks of names. */
  const tell = (query: Buffer, asked: string | undefined, said: Buffer): Buffer => {
    const current = policy();
    if (!current.judgesNames || asked === undefined) return said;
    const { aliases, addresses } = readAnswer(said, asked);
    const denied = aliases.find((alias) => current.deniesName(alias));
    if (denied !== undefined) {
      onRefused('name', denied);
      return failure(query, responseCode.refused);
    }
    for (const { address, ttlSeconds } of addresses) told.add(address, asked, ttlSeconds);
    return said;
  };
  const answer = async (query: Buffer): Promise<Buffer | undefined> => {
    if (!isRequest(query)) return undefined;
    const asked = askedName(query);
    if (!isQuery(query) || !policy().resolves(asked)) {
      onRefused('name', asked ?? notPlain);
      return failure(query, responseCode.refused);
    }
    if (underWay >= queriesAtOnce || !bucket.take()) return undefined;
    underWay += 1;
    try {
      return tell(query, asked, await names.ask(query));
    } catch (error) {
      if (!(error instanceof GuestNetworkError)) throw error;
      return failure(query, responseCode.serverFailure);
    } finally {
      underWay -= 1;
    }
  };
  /** A name that was looked up opens its address, which others may share; TLS says which of them is meant. */
  const guardOf = ({ address, port }: EgressConnection): ServerNameGuard =>
    new ServerNameGuard((name) => {
      if (policy().allowsServer(address, port, name)) return true;
      onRefused('name', name ?? `TLS to ${address}:${port} without a server name`);
      return false;
    });
  const builtIn = new Map<string, GuestService>([
    ...resolverAddresses.map((at) => [at, (stream: Duplex) => void serveNamesOver(stream, answer)] as const),
    ...(services ?? []),
  ]);

  return {
    onConnection(connection) {
      const { address, port } = connection;
      const target = `${address}:${port}`;
      const service = builtIn.get(target);
      if (service !== undefined) {
        service(connection.accept());
      } else if (policy().allows(address, port, told.namesOf(address))) {
        const own = governed?.get(target);
        if (own !== undefined) own(connection.accept());
        else void connectOut(connection, policy().judgesNames ? guardOf(connection) : undefined);
      } else {
        onRefused('connection', target);
        connection.refuse('EACCES');
      }
    },
    async onQuery(query) {
      const said = await answer(query);
      return said === undefined ? undefined : fitDatagram(query, said);
    },
  };
}

async function connectOut(connection: EgressConnection, guard: ServerNameGuard | undefined): Promise<void> {
  const { address, port, signal } = connection;
  try {
    const socket = await dial(address, port, signal);
    socket.setKeepAlive(true, keepAliveMs);
    splice(connection.accept(), socket, guard);
  } catch (error) {
    connection.refuse(error instanceof GuestNetworkError ? error.errno : 'ECONNREFUSED');
  }
}

/** Carries bytes, ends and resets both ways. @param guard what the guest's bytes have to pass */
function splice(guest: Duplex, remote: Socket, guard: ServerNameGuard | undefined): void {
  guest.on('error', () => remote.resetAndDestroy());
  remote.on('error', () => guest.destroy());
  guard?.on('error', () => {
    guest.destroy();
    remote.resetAndDestroy();
  });
  guest.on('close', () => {
    if (!guest.readableEnded || !guest.writableFinished) remote.resetAndDestroy();
  });
  remote.on('close', () => {
    if (!remote.readableEnded || !remote.writableFinished) guest.destroy();
  });
  (guard === undefined ? guest : guest.pipe(guard)).pipe(remote).pipe(guest);
}
