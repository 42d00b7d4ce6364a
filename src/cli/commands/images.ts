import { type MicrovmImageSummary, paginateListMicrovmImages } from '@aws-sdk/client-lambda-microvms';
import type { Command } from 'commander';
import { age, print, printJson, stateText, table } from '../output.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';

export function addImages(program: Command): void {
  const command = remote(program.command('images'))
    .description('list images')
    .action(async (options: RemoteOptions) => {
      await withClient(options, async (client) => {
        const items: MicrovmImageSummary[] = [];
        for await (const page of paginateListMicrovmImages({ client: await client.microvms() }, {})) {
          items.push(...(page.items ?? []));
        }
        if (options.json) printJson(items);
        else print(imageTable(items));
      });
    });
  examples(command, 'dormouse images', 'dormouse images --json');
}

function imageTable(items: readonly MicrovmImageSummary[]): string {
  return table(
    ['IMAGE', 'STATE', 'ACTIVE', 'FAILED', 'AGE'],
    items.map((item) => [
      item.name ?? '-',
      stateText(item.state),
      item.latestActiveImageVersion ?? '-',
      item.latestFailedImageVersion ?? '-',
      age(item.createdAt),
    ]),
  );
}
