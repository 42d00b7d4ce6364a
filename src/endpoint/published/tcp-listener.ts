import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { breakOff } from '../break-off.ts';
import { splice } from '../splice.ts';
import type { PublishedLimits } from './limits.ts';
import type { SourceNetworks } from './source-networks.ts';

/** An open port of the host. */
export interface PublishedListener {
  readonly hostPort: number;
  /** Frees the port and breaks off what goes through it. */
  close(): Promise<void>;
}

export interface ListenOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly networks: SourceNetworks;
  readonly limits: PublishedLimits;
}

/**
 * Carries TCP connections from a port of the host into a microVM, waking it when it sleeps.
 * @param dial opens the connection inside the microVM
 * @throws the port cannot be opened
 */
export async function listenTcp(
  options: ListenOptions,
  dial: (signal: AbortSignal) => Promise<Duplex>,
): Promise<PublishedListener> {
  const { networks, limits } = options;
  const sockets = new Set<Socket>();
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    if (!networks.allows(socket.remoteAddress ?? '') || sockets.size >= limits.connectionsPerPort) {
      socket.resetAndDestroy();
      return;
    }
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.setKeepAlive(true, limits.keepAliveMs);
    void carry(socket, dial);
  });
  server.listen({ host: options.host, port: options.port });
  await once(server, 'listening');
  return {
    hostPort: (server.address() as AddressInfo).port,
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) breakOff(socket);
      await closed;
    },
  };
}

/** Joins one connection with its counterpart in the guest; a failure is a reset, as of a host that is down. */
async function carry(socket: Socket, dial: (signal: AbortSignal) => Promise<Duplex>): Promise<void> {
  const left = new AbortController();
  socket.on('error', () => undefined);
  socket.once('close', () => left.abort());
  try {
    splice(socket, await dial(left.signal));
  } catch {
    socket.resetAndDestroy();
  }
}
