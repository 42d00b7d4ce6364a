import type { Command } from 'commander';
import { parseCount } from '../arguments.ts';
import type { Client } from '../client.ts';
import { resolveMicrovmId } from '../identify.ts';
import { print, printJson, stateText } from '../output.ts';
import { withProgress } from '../progress.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';
import { untilRunning } from '../until-running.ts';

interface ForkOptions extends RemoteOptions {
  readonly count: number;
  readonly payload?: string;
  readonly wait?: true;
}

interface Child {
  readonly microvmId: string;
  readonly state: string;
  readonly endpoint: string;
}

export function addFork(program: Command): void {
  const command = remote(program.command('fork'))
    .description('make new microVMs that continue from what one is now')
    .argument('<microvm>', 'id or the start of it')
    .option('-n, --count <number>', 'how many', parseCount, 1)
    .option('--payload <text>', 'handed to the /run hook of each')
    .option('--wait', 'return when they run')
    .action(async (name: string, options: ForkOptions) => {
      await withClient(options, async (client) => {
        const id = await resolveMicrovmId(client, name);
        const path = `/dormouse/v1/microvms/${id}/fork`;
        const body = { count: options.count, runHookPayload: options.payload };
        const response = await withProgress(`forking ${id}`, () =>
          client.extension(path, undefined, { method: 'POST', body }),
        );
        const { items } = (await response.json()) as { readonly items: readonly Child[] };
        if (options.wait) show(await outcomes(client, items), options);
        else show({ children: items }, options);
      });
    });
  examples(command, 'dormouse fork 3f2a -n 10 --wait', 'dormouse fork 3f2a --json');
}

interface Outcome {
  readonly children: readonly Child[];
  /** Why the first of those did not start that did not. */
  readonly failure?: unknown;
}

/** What has become of each, once all run or have ended. */
async function outcomes(client: Client, items: readonly Child[]): Promise<Outcome> {
  const ends = await withProgress(`launching ${items.length} microVMs`, () =>
    Promise.allSettled(items.map(({ microvmId }) => untilRunning(client, microvmId))),
  );
  const failed = ends.find((end) => end.status === 'rejected');
  return {
    children: items.map((item, index) => {
      const end = ends[index];
      return { ...item, state: end?.status === 'fulfilled' ? (end.value.state ?? '-') : 'TERMINATED' };
    }),
    failure: failed?.reason,
  };
}

/** @throws the failure, once all are shown */
function show({ children, failure }: Outcome, { json }: ForkOptions): void {
  if (json) printJson(children);
  else for (const vm of children) print(`${vm.microvmId}  ${stateText(vm.state)}  https://${vm.endpoint}`);
  if (failure !== undefined) throw failure;
}
