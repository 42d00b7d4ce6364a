import {
  type MicrovmImageSummary,
  type MicrovmImageVersionSummary,
  paginateListMicrovmImages,
  paginateListMicrovmImageVersions,
} from '@aws-sdk/client-lambda-microvms';
import type { Command } from 'commander';
import type { Client } from '../client.ts';
import { imageArnOf } from '../identify.ts';
import {
  conditionLines,
  conditionText,
  type ImageCondition,
  readImageConditions,
} from '../image-conditions.ts';
import { age, harmless, print, printJson, stateText, table } from '../output.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';

export function addImages(program: Command): void {
  const command = remote(program.command('images'))
    .description('list images, or the versions of one, and what is wrong with them')
    .argument('[image]', 'its name or ARN')
    .action(async (image: string | undefined, options: RemoteOptions) => {
      await withClient(options, async (client) => {
        if (image === undefined) await listImages(client, options);
        else await listVersions(client, image, options);
      });
    });
  examples(command, 'dormouse images', 'dormouse images counter', 'dormouse images --json');
}

async function listImages(client: Client, { json }: RemoteOptions): Promise<void> {
  const items: MicrovmImageSummary[] = [];
  for await (const page of paginateListMicrovmImages({ client: await client.microvms() }, {})) {
    items.push(...(page.items ?? []));
  }
  const conditions = await readImageConditions(client);
  const listed = items.map((item) => ({
    ...item,
    conditions: conditions.filter(({ imageArn }) => imageArn === item.imageArn),
  }));
  if (json) printJson(listed);
  else printTable(imageTable(listed), conditions);
}

async function listVersions(client: Client, image: string, { json }: RemoteOptions): Promise<void> {
  const imageIdentifier = await imageArnOf(client, image);
  const items: MicrovmImageVersionSummary[] = [];
  const pages = paginateListMicrovmImageVersions({ client: await client.microvms() }, { imageIdentifier });
  for await (const page of pages) items.push(...(page.items ?? []));
  const conditions = (await readImageConditions(client)).filter(
    ({ imageArn }) => imageArn === imageIdentifier,
  );
  const listed = items.map((item) => {
    const found = conditions.find(({ imageVersion }) => imageVersion === item.imageVersion);
    return { ...item, condition: found?.condition ?? null };
  });
  if (json) printJson(listed);
  else printTable(versionTable(listed), conditions);
}

function printTable(text: string, conditions: readonly ImageCondition[]): void {
  print([text, ...conditions.map(conditionLines)].join('\n\n'));
}

function imageTable(
  items: readonly (MicrovmImageSummary & { readonly conditions: readonly ImageCondition[] })[],
): string {
  return table(
    ['IMAGE', 'STATE', 'ACTIVE', 'FAILED', 'AGE', 'CONDITION'],
    items.map((item) => [
      item.name ?? '-',
      stateText(item.state),
      item.latestActiveImageVersion ?? '-',
      item.latestFailedImageVersion ?? '-',
      age(item.createdAt),
      item.conditions
        .map(({ imageVersion, condition }) => `${imageVersion} ${conditionText(condition)}`)
        .join(', '),
    ]),
  );
}

function versionTable(
  items: readonly (MicrovmImageVersionSummary & { readonly condition: string | null })[],
): string {
  return table(
    ['VERSION', 'STATE', 'STATUS', 'AGE', 'CONDITION'],
    items.map((item) => [
      item.imageVersion ?? '-',
      stateText(item.state),
      item.status ?? '-',
      age(item.createdAt),
      item.condition === null ? harmless(item.stateReason ?? '') : conditionText(item.condition),
    ]),
  );
}
