import type { Command } from 'commander';
import { print, printJson } from '../output.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';

interface RotateOptions extends RemoteOptions {
  readonly revoke?: true;
}

export function addTokens(program: Command): void {
  const tokens = program.command('tokens').description('tokens that open the endpoints of microVMs');
  const command = remote(tokens.command('rotate'))
    .description('make a new key for tokens; those made so far are good until they expire')
    .option('--revoke', 'refuse every token made so far, of all microVMs, from now on')
    .action(async (options: RotateOptions) => {
      const revoke = options.revoke === true;
      await withClient(options, async (client) => {
        const change = { method: 'POST', body: { revoke } } as const;
        await client.extension('/dormouse/v1/token-key/rotate', undefined, change);
      });
      if (options.json) printJson({ revoked: revoke });
      else if (revoke) print('tokens made so far are refused; streams that are open go on');
      else print('new tokens have a new key; those made so far are good until they expire');
    });
  examples(command, 'dormouse tokens rotate', 'dormouse tokens rotate --revoke');
}
