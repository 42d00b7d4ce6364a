import type { Command } from 'commander';
import type { Client } from '../client.ts';
import { resolveMicrovmId } from '../identify.ts';
import { bytes, harmless, print, printJson, stateText, style } from '../output.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';
import { type Trace, waterfall } from '../waterfall.ts';

/** The extension's description of a microVM: the service's own members and the host's. */
export interface MicrovmDescription extends Readonly<Record<string, unknown>> {
  readonly microvmId: string;
  readonly traces?: Readonly<Record<string, Trace>>;
}

interface InspectOptions extends RemoteOptions {
  readonly trace?: true;
}

export function addInspect(program: Command): void {
  const command = remote(program.command('inspect'))
    .description('everything known about a microVM: its settings, its process, its memory, its disk')
    .argument('<microvm>', 'its id, or the start of it')
    .option('--trace', 'where the time of its latest launch, suspend and resume went')
    .action(async (name: string, options: InspectOptions) => {
      await withClient(options, async (client) => {
        const details = await inspect(client, await resolveMicrovmId(client, name));
        if (options.json) printJson(details);
        else if (options.trace) print(tracesOf(details).join('\n\n'));
        else print(description(details));
      });
    });
  examples(command, 'dormouse inspect 3f2a', 'dormouse inspect 3f2a --trace', 'dormouse inspect 3f2a --json');
}

export async function inspect(client: Client, microvmId: string): Promise<MicrovmDescription> {
  const response = await client.extension(`/dormouse/v1/microvms/${microvmId}`);
  return (await response.json()) as MicrovmDescription;
}

function tracesOf({ microvmId, traces }: MicrovmDescription): readonly string[] {
  const drawn = Object.entries(traces ?? {}).map(([transition, trace]) => waterfall(transition, trace));
  return drawn.length > 0 ? drawn : [`${microvmId} has changed its state before this server began.`];
}

function description({ traces, ...details }: MicrovmDescription): string {
  const rows = Object.entries(details).filter(([, value]) => value !== null);
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${style(name.padEnd(width), 'dim')}  ${shown(name, value)}`).join('\n');
}

function shown(name: string, value: unknown): string {
  if (name === 'state') return stateText(String(value));
  if (typeof value === 'number' && name.endsWith('Bytes')) return bytes(value);
  if (typeof value === 'number' && name.endsWith('At')) return new Date(value * 1000).toISOString();
  return typeof value === 'object' ? JSON.stringify(value) : harmless(String(value));
}
