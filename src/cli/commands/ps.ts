import type { MicrovmItem } from '@aws-sdk/client-lambda-microvms';
import type { Command } from 'commander';
import { imageArnOf, imageName, listMicrovms } from '../identify.ts';
import { age, print, printJson, stateText, table } from '../output.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';

interface PsOptions extends RemoteOptions {
  readonly all?: true;
  readonly image?: string;
}

export function addPs(program: Command): void {
  const command = remote(program.command('ps'))
    .description('list microVMs')
    .option('-a, --all', 'terminated ones too')
    .option('--image <name>', 'only those of this image')
    .action(async (options: PsOptions) => {
      await withClient(options, async (client) => {
        const image = options.image === undefined ? undefined : await imageArnOf(client, options.image);
        const listed = await listMicrovms(client, image);
        const items = options.all ? listed : listed.filter(({ state }) => state !== 'TERMINATED');
        if (options.json) printJson(items);
        else print(microvmTable(items));
      });
    });
  examples(command, 'dormouse ps', 'dormouse ps -a --image counter --json');
}

function microvmTable(items: readonly MicrovmItem[]): string {
  return table(
    ['MICROVM', 'IMAGE', 'VERSION', 'STATE', 'AGE'],
    items.map((item) => [
      item.microvmId ?? '-',
      imageName(item.imageArn),
      item.imageVersion ?? '-',
      stateText(item.state),
      age(item.startedAt),
    ]),
  );
}
