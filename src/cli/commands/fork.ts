import type { Command } from 'commander';
import { parseCount } from '../arguments.ts';
import { resolveMicrovmId } from '../identify.ts';
import { print, printJson, stateText } from '../output.ts';
import { withProgress } from '../progress.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';

interface ForkOptions extends RemoteOptions {
  readonly count: number;
  readonly payload?: string;
}

interface Forked {
  readonly items: readonly {
    readonly microvmId: string;
    readonly state: string;
    readonly endpoint: string;
  }[];
}

export function addFork(program: Command): void {
  const command = remote(program.command('fork'))
    .description('make new microVMs that continue from what one is now')
    .argument('<microvm>', 'id or the start of it')
    .option('-n, --count <number>', 'how many', parseCount, 1)
    .option('--payload <text>', 'handed to the /run hook of each')
    .action(async (name: string, options: ForkOptions) => {
      await withClient(options, async (client) => {
        const id = await resolveMicrovmId(client, name);
        const path = `/dormouse/v1/microvms/${id}/fork`;
        const body = { count: options.count, runHookPayload: options.payload };
        const response = await withProgress(`forking ${id}`, () =>
          client.extension(path, undefined, { method: 'POST', body }),
        );
        const { items } = (await response.json()) as Forked;
        if (options.json) printJson(items);
        else for (const vm of items) print(`${vm.microvmId}  ${stateText(vm.state)}  https://${vm.endpoint}`);
      });
    });
  examples(command, 'dormouse fork 3f2a -n 10', 'dormouse fork 3f2a --json');
}
