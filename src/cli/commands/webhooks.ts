import type { Command } from 'commander';
import type { Client } from '../client.ts';
import { type EventFilterOptions, eventFilterOf, withEventFilter } from '../event-filter.ts';
import { age, harmless, note, print, printJson, table } from '../output.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';

/** As `/dormouse/v1/webhooks` tells of them. */
interface Webhook {
  readonly webhookId: string;
  readonly url: string;
  readonly state: 'ACTIVE' | 'FAILING' | 'DEAD';
  readonly types: readonly string[] | null;
  readonly delivered: number;
  readonly behind: number;
  readonly missed: number;
  /** Epoch seconds. */
  readonly lastDeliveredAt: number | null;
  readonly lastError: string | null;
}

type CreateOptions = RemoteOptions & EventFilterOptions;

const webhooksPath = '/dormouse/v1/webhooks';

export function addWebhooks(program: Command): void {
  const webhooks = program.command('webhooks').description('addresses that are told of changes of state');
  addCreate(webhooks);
  addList(webhooks);
  addResume(webhooks);
  addDelete(webhooks);
}

function addCreate(webhooks: Command): void {
  const command = withEventFilter(remote(webhooks.command('create')))
    .description('have events from now on sent to a URL; the secret that signs them is shown this once')
    .argument('<url>', 'where to send them')
    .action(async (url: string, options: CreateOptions) => {
      await withClient(options, async (client) => await create(client, url, options));
    });
  examples(command, 'dormouse webhooks create https://example.com/hook --type "microvm.*"');
}

async function create(client: Client, url: string, options: CreateOptions): Promise<void> {
  const body = { url, ...(await eventFilterOf(client, options)) };
  const response = await client.extension(webhooksPath, undefined, { method: 'POST', body });
  const webhook = (await response.json()) as Webhook & { readonly secret: string };
  if (options.json) return printJson(webhook);
  print(webhook.webhookId);
  note(`Its secret, which is not shown again: ${webhook.secret}`);
}

function addList(webhooks: Command): void {
  const command = remote(webhooks.command('list'))
    .description('list webhooks and how they fare')
    .action(async (options: RemoteOptions) => {
      await withClient(options, async (client) => {
        const response = await client.extension(webhooksPath);
        const { webhooks: items } = (await response.json()) as { readonly webhooks: readonly Webhook[] };
        if (options.json) printJson(items);
        else print(webhookTable(items));
      });
    });
  examples(command, 'dormouse webhooks list', 'dormouse webhooks list --json');
}

function addResume(webhooks: Command): void {
  const command = remote(webhooks.command('resume'))
    .description('deliver to a dead webhook again, from where it was given up')
    .argument('<webhook>', 'its id')
    .action(async (webhookId: string, options: RemoteOptions) => {
      await withClient(options, async (client) => {
        const path = `${pathOf(webhookId)}/resume`;
        const webhook: unknown = await (await client.extension(path, undefined, { method: 'POST' })).json();
        if (options.json) printJson(webhook);
        else print(`${webhookId} is active`);
      });
    });
  examples(command, 'dormouse webhooks resume webhook-3f2a…');
}

function addDelete(webhooks: Command): void {
  const command = remote(webhooks.command('delete'))
    .description('send nothing more to a webhook')
    .argument('<webhook>', 'its id')
    .action(async (webhookId: string, options: RemoteOptions) => {
      await withClient(options, async (client) => {
        await client.extension(pathOf(webhookId), undefined, { method: 'DELETE' });
        if (options.json) printJson({ webhookId });
        else print(`${webhookId} is deleted`);
      });
    });
  examples(command, 'dormouse webhooks delete webhook-3f2a…');
}

function pathOf(webhookId: string): string {
  return `${webhooksPath}/${encodeURIComponent(webhookId)}`;
}

function webhookTable(webhooks: readonly Webhook[]): string {
  return table(
    ['WEBHOOK', 'STATE', 'DELIVERED', 'BEHIND', 'MISSED', 'LAST', 'TYPES', 'URL', 'PROBLEM'],
    webhooks.map((webhook) => [
      webhook.webhookId,
      webhook.state,
      String(webhook.delivered),
      String(webhook.behind),
      String(webhook.missed),
      webhook.lastDeliveredAt === null ? '-' : age(new Date(webhook.lastDeliveredAt * 1000)),
      webhook.types?.join(',') ?? '*',
      webhook.url,
      harmless(webhook.lastError ?? '-'),
    ]),
  );
}
