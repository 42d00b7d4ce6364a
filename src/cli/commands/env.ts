import type { Command } from 'commander';
import { readServerFile, type ServerDescription } from '../connection.ts';
import { print, printJson } from '../output.ts';
import { examples } from '../remote-command.ts';

interface EnvOptions {
  readonly dataDir?: string;
  readonly json?: true;
}

export function addEnv(program: Command): void {
  const command = program
    .command('env')
    .description('print shell exports that point the AWS clients at the local server')
    .option('--data-dir <directory>', 'data directory of the server')
    .option('--json', 'print JSON instead of text')
    .action(async (options: EnvOptions) => {
      const variables = environmentOf(await readServerFile(options.dataDir, process.env));
      if (options.json) printJson(variables);
      else for (const [name, value] of Object.entries(variables)) print(`export ${name}=${quoted(value)}`);
    });
  examples(command, 'eval "$(dormouse env)"');
}

/** What an AWS client needs in its environment to talk to that server. */
export function environmentOf(server: ServerDescription): Readonly<Record<string, string>> {
  return {
    // Services that are not offered are refused here, rather than asked at the real one with keys of this server.
    AWS_ENDPOINT_URL: server.apiEndpoint,
    AWS_ENDPOINT_URL_LAMBDA_MICROVMS: server.apiEndpoint,
    AWS_ENDPOINT_URL_LAMBDA_CORE: server.apiEndpoint,
    AWS_ENDPOINT_URL_CLOUDWATCH_LOGS: server.apiEndpoint,
    AWS_ENDPOINT_URL_STS: server.apiEndpoint,
    AWS_ENDPOINT_URL_S3: server.s3Endpoint,
    // Clients would ask another host for StartLiveTail: the server's name with a word before it.
    AWS_DISABLE_HOST_PREFIX_INJECTION: 'true',
    AWS_ACCESS_KEY_ID: server.accessKeyId,
    AWS_SECRET_ACCESS_KEY: server.secretAccessKey,
    AWS_REGION: server.region,
    AWS_DEFAULT_REGION: server.region,
    NODE_EXTRA_CA_CERTS: server.caCertificatePath,
    AWS_CA_BUNDLE: server.caCertificatePath,
  };
}

function quoted(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}
