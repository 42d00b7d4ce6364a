import type { Command } from 'commander';
import { type ActivitySettings, parseActivity, setActivity } from '../activity-settings.ts';
import { resolveMicrovmId } from '../identify.ts';
import { print, printJson } from '../output.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';

export function addActivity(program: Command): void {
  const command = remote(program.command('activity'))
    .description('what keeps a microVM awake besides traffic; without settings, show them')
    .argument('<microvm>', 'its id, or the start of it')
    .argument(
      '[settings]',
      'requests (under way), exec (running commands and shells), cpu=N% (use of its CPUs, in percent of one), more than one with commas, or bytes (none)',
      parseActivity,
    )
    .action(async (name: string, settings: ActivitySettings | undefined, options: RemoteOptions) => {
      await withClient(options, async (client) => {
        const id = await resolveMicrovmId(client, name);
        if (settings !== undefined) {
          await setActivity(client, id, settings);
          return;
        }
        const response = await client.extension(`/dormouse/v1/microvms/${id}/activity`);
        const shown = (await response.json()) as ActivitySettings;
        if (options.json) printJson(shown);
        else print(inWords(shown));
      });
    });
  examples(
    command,
    'dormouse activity 3f2a requests,exec,cpu=20%',
    'dormouse activity 3f2a bytes',
    'dormouse activity 3f2a',
  );
}

function inWords({ requests, execSessions, guestCpuPercent }: ActivitySettings): string {
  return [
    'bytes through its endpoint',
    ...(requests ? ['requests under way'] : []),
    ...(execSessions ? ['running commands and shells'] : []),
    ...(guestCpuPercent === null ? [] : [`a CPU busy for ${guestCpuPercent} % or more`]),
  ].join(', ');
}
