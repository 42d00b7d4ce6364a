import { once } from 'node:events';
import type { Command } from 'commander';
import { collectForwarding, type Forwarding } from '../arguments.ts';
import type { Client } from '../client.ts';
import { addressOf } from '../endpoint-address.ts';
import { RenewedToken } from '../endpoint-tokens.ts';
import { resolveMicrovm } from '../identify.ts';
import { untilInterrupted } from '../interrupt.ts';
import { type LocalPort, localHost, openLocalTcp, openLocalUdp } from '../local-port.ts';
import { mintToken } from '../microvm-request.ts';
import { print, printJson } from '../output.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';
import type { TunnelTarget } from '../tunnel.ts';

export function addForward(program: Command): void {
  const command = remote(program.command('forward'))
    .description('make ports of a microVM reachable on this machine, until interrupted')
    .argument('<microvm>', 'its id, or the start of it')
    .argument(
      '<port[:local][/udp]...>',
      'port inside, and port here when it is another; for TCP, or for datagrams',
      collectForwarding,
    )
    .action(async (name: string, forwardings: readonly Forwarding[], options: RemoteOptions) => {
      await withClient(options, async (client) => await forward(client, name, forwardings, options));
    });
  examples(
    command,
    'dormouse forward 3f2a 6379',
    'dormouse forward 3f2a 5432:15432 8080:0',
    'dormouse forward 3f2a 8125:9125/udp',
  );
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
    for (const { guestPort, localPort, protocol } of forwardings) {
      const token = new RenewedToken(() => mintToken(client, microvm.microvmId ?? '', guestPort));
      await token.get();
      const target: TunnelTarget = { address, endpoint, port: guestPort, protocol };
      const local = await (protocol === 'udp' ? openLocalUdp : openLocalTcp)(localPort, target, token);
      open.push(local);
      const shown = `${localHost}:${local.port}`;
      const suffix = protocol === 'udp' ? '/udp' : '';
      if (options.json) printJson({ port: guestPort, protocol, local: shown });
      else print(`${shown}${suffix} → ${microvm.microvmId} port ${guestPort}${suffix}`);
    }
    if (!interrupted.aborted) await once(interrupted, 'abort');
  } finally {
    await Promise.all(open.map((local) => local.close()));
  }
}
