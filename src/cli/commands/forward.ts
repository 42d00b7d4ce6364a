import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import { type Command, InvalidArgumentError } from 'commander';
import { parsePort } from '../arguments.ts';
import type { Client } from '../client.ts';
import { addressOf } from '../endpoint-address.ts';
import { RenewedToken } from '../endpoint-tokens.ts';
import { CliError } from '../errors.ts';
import { resolveMicrovm } from '../identify.ts';
import { untilInterrupted } from '../interrupt.ts';
import { mintToken } from '../microvm-request.ts';
import { note, print, printJson } from '../output.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';
import { openTunnel, type TunnelTarget } from '../tunnel.ts';

interface Forwarding {
  readonly guestPort: number;
  /** 0 picks a free one. */
  readonly localPort: number;
}

const localHost = '127.0.0.1';

export function addForward(program: Command): void {
  const command = remote(program.command('forward'))
    .description('make TCP ports of a microVM reachable on this machine, until interrupted')
    .argument('<microvm>', 'its id, or the start of it')
    .argument('<port[:local]...>', 'port inside, and port here when it is another', collectForwarding)
    .action(async (name: string, forwardings: readonly Forwarding[], options: RemoteOptions) => {
      await withClient(options, async (client) => await forward(client, name, forwardings, options));
    });
  examples(command, 'dormouse forward 3f2a 6379', 'dormouse forward 3f2a 5432:15432 8080:0');
}

function collectForwarding(text: string, earlier: readonly Forwarding[] | undefined): Forwarding[] {
  const [, guest, local] = /^(\d+)(?::(\d+))?$/.exec(text) ?? [];
  const guestPort = parsePort(guest ?? '');
  if (guestPort === 0) throw new InvalidArgumentError('Expected PORT or PORT:LOCAL.');
  return [...(earlier ?? []), { guestPort, localPort: local === undefined ? guestPort : parsePort(local) }];
}

async function forward(
  client: Client,
  name: string,
  forwardings: readonly Forwarding[],
  options: RemoteOptions,
): Promise<void> {
  const interrupted = untilInterrupted();
  const microvm = await resolveMicrovm(client, name);
  const endpoint = microvm.endpoint ?? '';
  const address = await addressOf(client, endpoint);
  const open: LocalPort[] = [];
  try {
    for (const { guestPort, localPort } of forwardings) {
      const token = new RenewedToken(() => mintToken(client, microvm.microvmId ?? '', guestPort));
      await token.get();
      const target: TunnelTarget = { address, endpoint, port: guestPort, protocol: 'tcp' };
      const local = await listen(localPort, target, token);
      open.push(local);
      const shown = `${localHost}:${local.port}`;
      if (options.json) printJson({ port: guestPort, local: shown });
      else print(`${shown} → ${microvm.microvmId} port ${guestPort}`);
    }
    if (!interrupted.aborted) await once(interrupted, 'abort');
  } finally {
    for (const local of open) local.close();
  }
}

interface LocalPort {
  readonly port: number;
  close(): void;
}

/** Listens on this machine; each connection has a tunnel of its own. */
async function listen(port: number, target: TunnelTarget, token: RenewedToken): Promise<LocalPort> {
  const sockets = new Set<Socket>();
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    carry(socket, target, token).catch((error: unknown) => {
      socket.resetAndDestroy();
      if (error instanceof CliError) note(error.message);
    });
  });
  server.listen(port, localHost);
  await once(server, 'listening').catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    throw new CliError(
      `Port ${port} of this machine cannot be used: ${why}`,
      'Choose another with PORT:LOCAL.',
    );
  });
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
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
