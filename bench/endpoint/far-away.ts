/** A server as it looks from far away. */
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';

/** Bytes on their way are held back for so long, in either direction, and never more than so many at a time. */
const mostUnderWay = 64 * 1024 * 1024;

export interface FarAway {
  readonly port: number;
  close(): void;
}

/**
 * Passes connections on to a port of this machine as a path with a delay would. Its TCP windows are no limit:
 * both halves are local, so that what is left to limit a transfer are the windows of the protocol above.
 */
export async function farAway(port: number, roundTripMs: number): Promise<FarAway> {
  const open = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const far = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(from);
      from.on('error', () => to.destroy());
      from.once('close', () => open.delete(from));
      pass(from, to, roundTripMs / 2);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

function pass(from: net.Socket, to: net.Socket, delayMs: number): void {
  let underWay = 0;
  from.on('data', (chunk: Buffer) => {
    underWay += chunk.length;
    if (underWay >= mostUnderWay) from.pause();
    setTimeout(() => {
      to.write(chunk);
      underWay -= chunk.length;
      if (underWay < mostUnderWay) from.resume();
    }, delayMs);
  });
  from.once('end', () => setTimeout(() => to.end(), delayMs));
}
