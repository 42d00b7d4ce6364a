import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { collect } from '../arguments.ts';
import type { Client } from '../client.ts';
import { connectorsPath, getConnector, type WireConnector } from '../connectors.ts';
import { UsageError } from '../errors.ts';
import { print, printJson, stateText, table } from '../output.ts';
import { withProgress } from '../progress.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';
import { poll } from '../wait.ts';

interface CreateOptions extends RemoteOptions {
  readonly policy: readonly string[];
  readonly role?: string;
}

const pollMs = 50;

export function addConnectors(program: Command): void {
  const connectors = program
    .command('connectors')
    .description('network connectors, by which microVMs get egress policies');
  addCreate(connectors);
  addList(connectors);
  addDelete(connectors);
}

function addCreate(connectors: Command): void {
  const command = remote(connectors.command('create'))
    .description('make a network connector and wait until it can be used')
    .argument('<name>', 'what to call it')
    .requiredOption('--policy <id>', 'egress policy it has: a subnet-… or sg-… id; may be repeated', collect)
    .option('--role <arn>', 'operator role, which has no meaning here (default: one of the account)')
    .action(async (name: string, options: CreateOptions) => {
      await withClient(options, async (client) => {
        const connector = await create(client, name, options);
        if (options.json) printJson(connector);
        else print(`${connector.Name}  ${stateText(connector.State)}  ${connector.Arn}`);
      });
    });
  examples(command, 'dormouse connectors create office --policy subnet-web');
}

async function create(client: Client, name: string, options: CreateOptions): Promise<WireConnector> {
  const subnets = options.policy.filter((id) => id.startsWith('subnet-'));
  const groups = options.policy.filter((id) => !id.startsWith('subnet-'));
  if (subnets.length === 0) {
    throw new UsageError('A connector needs a subnet-… policy; sg-… ones come on top of it.');
  }
  const { accountId } = await client.server();
  const body = {
    Name: name,
    ClientToken: randomUUID(),
    OperatorRole: options.role ?? `arn:aws:iam::${accountId}:role/operator`,
    Configuration: {
      VpcEgressConfiguration: {
        SubnetIds: subnets,
        ...(groups.length === 0 ? {} : { SecurityGroupIds: groups }),
        NetworkProtocol: 'IPv4',
        AssociatedComputeResourceTypes: ['MicroVm'],
      },
    },
  };
  const response = await client.extension(connectorsPath, undefined, { method: 'POST', body });
  const { Id } = (await response.json()) as WireConnector;
  return await withProgress(`waiting for ${name}`, async () =>
    poll(pollMs, async () => {
      const connector = await getConnector(client, Id);
      return connector.State === 'PENDING' ? undefined : connector;
    }),
  );
}

function addList(connectors: Command): void {
  const command = remote(connectors.command('list'))
    .description('list network connectors')
    .action(async (options: RemoteOptions) => {
      await withClient(options, async (client) => {
        const items = await listConnectors(client);
        if (options.json) printJson(items);
        else print(connectorTable(items));
      });
    });
  examples(command, 'dormouse connectors list');
}

function addDelete(connectors: Command): void {
  const command = remote(connectors.command('delete'))
    .description('remove a network connector that nothing uses')
    .argument('<connector>', 'its name, id or ARN')
    .action(async (connector: string, options: RemoteOptions) => {
      await withClient(options, async (client) => {
        const path = `${connectorsPath}/${encodeURIComponent(connector)}`;
        const response = await client.extension(path, undefined, { method: 'DELETE' });
        const { Name, Arn } = (await response.json()) as WireConnector;
        if (options.json) printJson({ Name, Arn });
        else print(`${Name} is deleted`);
      });
    });
  examples(command, 'dormouse connectors delete office');
}

interface Page {
  readonly NetworkConnectors: readonly WireConnector[];
  readonly NextMarker?: string;
}

async function listConnectors(client: Client): Promise<readonly WireConnector[]> {
  const items: WireConnector[] = [];
  for (let marker: string | undefined = ''; marker !== undefined; ) {
    const query: string = marker === '' ? '' : `?Marker=${encodeURIComponent(marker)}`;
    const page = (await (await client.extension(connectorsPath + query)).json()) as Page;
    items.push(...page.NetworkConnectors);
    marker = page.NextMarker;
  }
  return items;
}

function connectorTable(connectors: readonly WireConnector[]): string {
  return table(
    ['NAME', 'STATE', 'ARN'],
    connectors.map(({ Name, State, Arn }) => [Name, stateText(State), Arn]),
  );
}
