import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import { framedChannel } from '../datagrams/framed-channel.ts';
import { relayDatagrams, relayLimits } from '../datagrams/relay.ts';
import type { RenewedToken } from './endpoint-tokens.ts';
import { CliError } from './errors.ts';
import { note } from './output.ts';
import { openTunnel, type TunnelTarget } from './tunnel.ts';

export const localHost = '127.0.0.1';

/** An open port of this machine that stands for one of a microVM. */
export interface LocalPort {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Each connection has a tunnel of its own.
 * @param port 0 picks a free one
 * @throws {CliError} the port cannot be used
 */
export async function openLocalTcp(
  port: number,
  target: TunnelTarget,
  token: RenewedToken,
): Promise<LocalPort> {
  const sockets = new Set<Socket>();
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    carry(socket, target, token).catch((error: unknown) => {
      socket.resetAndDestroy();
      report(error);
    });
  });
  server.listen(port, localHost);
  await once(server, 'listening').catch(unusable(port));
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/**
 * Each sender has a tunnel of its own, until it has been silent for a while.
 * @param port 0 picks a free one
 * @throws {CliError} the port cannot be used
 */
export async function openLocalUdp(
  port: number,
  target: TunnelTarget,
  token: RenewedToken,
): Promise<LocalPort> {
  return await relayDatagrams({
    host: localHost,
    port,
    limits: relayLimits,
    allows: () => true,
    open: async (onAnswer, signal) => {
      const tunnel = await openTunnel(target, await token.get());
      if (signal.aborted) tunnel.destroy();
      return framedChannel(tunnel, onAnswer);
    },
    onFailure: report,
  }).catch(unusable(port));
}

function report(error: unknown): void {
  if (error instanceof CliError) note(error.message);
}

function unusable(port: number): (error: unknown) => never {
  return (error) => {
    const why = error instanceof Error ? error.message : String(error);
    throw new CliError(
      `Port ${port} of this machine cannot be used: ${why}`,
      'Choose another with PORT:LOCAL.',
    );
  };
}

/**
 * The end of one direction leaves the other open. Where the tunnel breaks off, so does the connection here:
 * an orderly end would make what came so far look like everything.
 * @throws {CliError} the microVM could not be reached
 */
async function carry(socket: Socket, target: TunnelTarget, token: RenewedToken): Promise<void> {
  socket.on('error', () => undefined);
  const tunnel = await openTunnel(target, await token.get());
  tunnel.on('error', () => undefined);
  tunnel.once('close', () => {
    if (!(tunnel.readableEnded && tunnel.writableFinished) && !socket.destroyed) socket.resetAndDestroy();
  });
  socket.once('close', () => {
    if (!(socket.readableEnded && socket.writableFinished)) tunnel.destroy();
  });
  if (socket.destroyed) tunnel.destroy();
  else socket.pipe(tunnel).pipe(socket);
}
