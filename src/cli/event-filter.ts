import type { Command } from 'commander';
import { collect } from './arguments.ts';
import type { Client } from './client.ts';
import { imageArnOf, resolveMicrovmId } from './identify.ts';

/** Options of commands that choose events. */
export interface EventFilterOptions {
  readonly type?: string[];
  readonly microvm?: string;
  readonly image?: string;
}

/** What the server is to choose by. */
export interface EventFilter {
  readonly types: readonly string[] | undefined;
  readonly microvmId: string | undefined;
  readonly imageArn: string | undefined;
}

/** Adds those options to a command. */
export function withEventFilter(command: Command): Command {
  return command
    .option('--type <type>', 'only such as microvm.suspended or image-build.*; may be repeated', collect)
    .option('--microvm <microvm>', 'only of this microVM: its id or the start of it')
    .option('--image <image>', 'only of this image and its microVMs');
}

/** @throws {CliError} none or several microVMs fit */
export async function eventFilterOf(client: Client, options: EventFilterOptions): Promise<EventFilter> {
  const { type, microvm, image } = options;
  return {
    types: type,
    microvmId: microvm === undefined ? undefined : await resolveMicrovmId(client, microvm),
    imageArn: image === undefined ? undefined : await imageArnOf(client, image),
  };
}
