import type { Command } from 'commander';
import { collect, type PortAndProtocol, parsePort, parsePortAndProtocol } from '../arguments.ts';
import type { Client } from '../client.ts';
import { resolveMicrovmId } from '../identify.ts';
import { print, printJson, table } from '../output.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';

interface Port {
  readonly protocol: string;
  readonly port: number;
  readonly hostPort: number;
  readonly allow: readonly string[];
}

interface PublishOptions extends RemoteOptions {
  readonly port?: number;
  readonly allow?: readonly string[];
}

const nobodyElse: readonly string[] = ['127.0.0.0/8', '::1/128'];

export function addPublish(program: Command): void {
  const publish = remote(program.command('publish'))
    .description("open a port of the server's machine for a port of a microVM; without a port, list them")
    .argument('<microvm>', 'its id, or the start of it')
    .argument('[port[/udp]]', 'port inside the microVM, for TCP or for datagrams', parsePortAndProtocol)
    .option('--port <port>', "port of the server's machine (default: a free one)", parsePort)
    .option('--allow <network>', 'who may use it, may be repeated (default: the machine itself)', collect)
    .action(async (name: string, port: PortAndProtocol | undefined, options: PublishOptions) => {
      await withClient(options, async (client) => {
        const resource = await portsOf(client, name);
        if (port === undefined) await listPorts(client, resource, options);
        else await publishPort(client, resource, port, options);
      });
    });
  examples(
    publish,
    'dormouse publish 3f2a 5432 --allow 10.0.0.0/8',
    'dormouse publish 3f2a 8125/udp --port 9125',
    'dormouse publish 3f2a',
  );
  const unpublish = remote(program.command('unpublish'))
    .description('close a published port of a microVM')
    .argument('<microvm>', 'its id, or the start of it')
    .argument('<port[/udp]>', 'port inside the microVM', parsePortAndProtocol)
    .action(async (name: string, { port, protocol }: PortAndProtocol, options: RemoteOptions) => {
      await withClient(options, async (client) => {
        const query = `port=${port}&protocol=${protocol}`;
        await client.extension(`${await portsOf(client, name)}?${query}`, undefined, { method: 'DELETE' });
      });
    });
  examples(unpublish, 'dormouse unpublish 3f2a 5432', 'dormouse unpublish 3f2a 8125/udp');
}

async function portsOf(client: Client, name: string): Promise<string> {
  return `/dormouse/v1/microvms/${await resolveMicrovmId(client, name)}/ports`;
}

async function publishPort(
  client: Client,
  resource: string,
  { port, protocol }: PortAndProtocol,
  options: PublishOptions,
): Promise<void> {
  const body = {
    port,
    protocol,
    hostPort: options.port,
    allow: options.allow ?? nobodyElse,
  };
  const response = await client.extension(resource, undefined, { method: 'POST', body });
  const published = (await response.json()) as Port;
  if (options.json) printJson(published);
  else print(`${published.hostPort}/${published.protocol} → ${published.port}, for ${allowed(published)}`);
}

async function listPorts(client: Client, resource: string, options: RemoteOptions): Promise<void> {
  const { ports } = (await (await client.extension(resource)).json()) as { readonly ports: readonly Port[] };
  if (options.json) printJson(ports);
  else print(table(['HOST PORT', 'PORT', 'ALLOWED'], ports.map(rowOf)));
}

function rowOf(port: Port): readonly string[] {
  return [`${port.hostPort}/${port.protocol}`, `${port.port}/${port.protocol}`, allowed(port)];
}

function allowed(port: Port): string {
  return port.allow.join(', ');
}
