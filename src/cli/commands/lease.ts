import type { Command } from 'commander';
import { parseDuration } from '../arguments.ts';
import { resolveMicrovmId } from '../identify.ts';
import { print, printJson } from '../output.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';

export function addLease(program: Command): void {
  const command = remote(program.command('lease'))
    .description('keep a microVM awake for a while whatever its traffic; without a duration, no longer')
    .argument('<microvm>', 'its id, or the start of it')
    .argument('[duration]', 'from now, such as 10m', parseDuration)
    .action(async (name: string, seconds: number | undefined, options: RemoteOptions) => {
      await withClient(options, async (client) => {
        const id = await resolveMicrovmId(client, name);
        const resource = `/dormouse/v1/microvms/${id}/lease`;
        if (seconds === undefined) {
          await client.extension(resource, undefined, { method: 'DELETE' });
          return;
        }
        const body = { seconds };
        const response = await client.extension(resource, undefined, { method: 'PUT', body });
        const { endsAt } = (await response.json()) as { readonly endsAt: number };
        if (options.json) printJson({ microvmId: id, endsAt });
        else print(`${id} stays awake until ${new Date(endsAt * 1000).toISOString()}`);
      });
    });
  examples(command, 'dormouse lease 3f2a 10m', 'dormouse lease 3f2a');
}
