import type { Command } from 'commander';
import { Client } from './client.ts';
import { findConnection } from './connection.ts';
import { type CliError, describe, serverUnreachable } from './errors.ts';

/** Options every command has that talks to a server. */
export interface RemoteOptions {
  readonly endpointUrl?: string | undefined;
  readonly region?: string | undefined;
  readonly dataDir?: string | undefined;
  readonly json?: true | undefined;
}

/** Adds those options to a command. */
export function remote(command: Command): Command {
  return command
    .option('--json', 'print JSON instead of text')
    .option(
      '--endpoint-url <url>',
      'address of the server (default: AWS_ENDPOINT_URL_LAMBDA_MICROVMS, or the local one)',
    )
    .option('--region <region>', 'region to sign for')
    .option('--data-dir <directory>', 'data directory of the local server to talk to');
}

/** Runs `work` with a client; a server that does not answer becomes an error that says how to start one. */
export async function withClient<Result>(
  options: RemoteOptions,
  work: (client: Client) => Promise<Result>,
): Promise<Result> {
  const connection = await findConnection(options, process.env);
  try {
    return await work(new Client(connection));
  } catch (error) {
    throw withEndpoint(error, connection.apiEndpoint);
  }
}

function withEndpoint(error: unknown, endpoint: string): unknown {
  const generic: CliError = serverUnreachable('its address', error);
  return describe(error).message === generic.message ? serverUnreachable(endpoint, error) : error;
}

/** Examples at the end of a command's help. */
export function examples(command: Command, ...lines: readonly string[]): Command {
  return command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`);
}
