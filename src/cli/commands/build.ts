import type { Command } from 'commander';
import {
  collectBuildArguments,
  collectHook,
  collectSecret,
  collectVariables,
  type HookTimeouts,
  parseDuration,
  parseMemory,
  parsePort,
  parseReadyTimeout,
  type SecretSource,
} from '../arguments.ts';
import { type BuildSettings, packContext } from '../build-context.ts';
import { readSecrets } from '../build-secrets.ts';
import type { Client } from '../client.ts';
import { CliError, exitCodes } from '../errors.ts';
import { followBuild } from '../follow-build.ts';
import { type ImageSettings, removeContext, startBuild, uploadContext } from '../image-build.ts';
import { bytes, harmless, note, print, printJson, stateText } from '../output.ts';
import { type Progress, withProgress } from '../progress.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';

interface BuildOptions extends RemoteOptions {
  readonly name: string;
  readonly description?: string;
  readonly memory?: number;
  readonly env?: Record<string, string>;
  readonly hook?: HookTimeouts;
  readonly hookPort: number;
  readonly egress?: string;
  readonly file?: string;
  readonly buildArg?: Record<string, string>;
  readonly target?: string;
  readonly secret?: readonly SecretSource[];
  readonly cache: boolean;
  readonly worker?: true;
  readonly readyTimeout?: number;
  readonly timeout?: number;
  readonly quiet?: true;
}

export function addBuild(program: Command): void {
  const command = remote(program.command('build'))
    .description('build an image from a directory with a Dockerfile, or its next version if the image exists')
    .argument('<directory>', 'build context; .dockerignore is respected')
    .requiredOption('-n, --name <name>', 'name of the image')
    .option('--description <text>', 'shown with the image')
    .option('--memory <size>', 'memory of its microVMs, in MiB or as 2G', parseMemory)
    .option(
      '-e, --env <KEY=VALUE>',
      'environment variable of the application, may be repeated',
      collectVariables,
    )
    .option('--hook <name[=timeout]>', 'call this lifecycle hook, may be repeated', collectHook)
    .option('--hook-port <port>', 'port of the hooks in the microVM', parsePort, 9000)
    .option(
      '--egress <connector>',
      'what it reaches while it is built, and its microVMs unless told otherwise: name of a connector (default: INTERNET_EGRESS)',
    )
    .option('-f, --file <path>', 'Dockerfile to build (default: Dockerfile in the directory)')
    .option(
      '--build-arg <NAME[=VALUE]>',
      'value of an ARG of the Dockerfile, from the environment when none is given; may be repeated. It is kept with the build, so no place for secrets',
      collectBuildArguments,
    )
    .option(
      '--secret <id=ID,src=FILE>',
      'file (or env=VARIABLE) for RUN --mount=type=secret,id=ID; no layer holds it, and the server keeps it until the build has ended; may be repeated',
      collectSecret,
    )
    .option('--target <stage>', 'stage of the Dockerfile to build (default: the last one)')
    .option('--no-cache', 'run every step again')
    .option('--worker', 'the application serves no requests: do not wait for it to listen on a port')
    .option(
      '--ready-timeout <duration>',
      'most to wait until the application listens on its ports or its HEALTHCHECK succeeds (default: 5m, at most 60m)',
      parseReadyTimeout,
    )
    .option('--timeout <duration>', 'stop waiting after this long; the build itself goes on', parseDuration)
    .option('-q, --quiet', 'do not show the build log')
    .action(async (directory: string, options: BuildOptions) => {
      await withClient(options, async (client) => await build(client, directory, options));
    });
  examples(
    command,
    'dormouse build examples/counter --name counter',
    'dormouse build . -n api --memory 1G -e MODE=production',
    'dormouse build . -n api -f docker/api.Dockerfile --target production --build-arg VERSION=2',
    'dormouse build . -n api --hook ready=60s --hook run --hook-port 9000',
  );
}

async function build(client: Client, directory: string, options: BuildOptions): Promise<void> {
  const startedAt = Date.now();
  const context = await packContext(directory, {
    dockerfile: options.file,
    settings: buildSettings(options),
    secrets: await readSecrets(options.secret ?? []),
  });
  const hasSecrets = options.secret !== undefined;
  const dispose = (): void => {
    context.dispose().finally(() => process.exit(exitCodes.interrupted));
  };
  process.once('SIGINT', dispose);
  let uri: string;
  try {
    note(`packed ${context.entries} files, ${bytes(context.bytes)}`);
    uri = await withProgress('uploading', async () =>
      uploadContext(client, options.name, context, hasSecrets),
    );
  } finally {
    process.removeListener('SIGINT', dispose);
    await context.dispose();
  }
  const settings = settingsOf(options, uri);
  const started = await startBuild(client, settings).catch(async (error: unknown) => {
    if (hasSecrets) await removeContext(client, uri);
    throw error;
  });
  note(`building version ${started.imageVersion} of ${options.name}`);
  const interrupted = (): void => {
    note(`\nThe build goes on; follow it with: dormouse logs ${options.name}`);
    if (hasSecrets) note(`Its secrets are in ${uri}: remove that when it has ended.`);
    process.exit(exitCodes.interrupted);
  };
  process.once('SIGINT', interrupted);
  try {
    const outcome = await withProgress(`building ${options.name}`, async (progress) =>
      followBuild(client, { ...started, timeout: options.timeout }, (line) =>
        showLine(progress, line, options),
      ),
    );
    if (hasSecrets) await removeContext(client, uri);
    const durationMs = Date.now() - startedAt;
    if (options.json) printJson({ ...started, ...outcome, durationMs });
    else
      print(
        `${started.imageArn}  ${started.imageVersion}  ${stateText(outcome.state)}  ${durationMs / 1000}s`,
      );
    if (outcome.state !== 'SUCCESSFUL') {
      throw new CliError(
        `The build of ${options.name} ${started.imageVersion} failed: ${outcome.reason ?? 'no reason given'}`,
        `Its log: dormouse logs ${options.name}`,
      );
    }
    if (outcome.reason !== undefined) note(`warning: ${harmless(outcome.reason)}`);
  } finally {
    process.removeListener('SIGINT', interrupted);
  }
}

function buildSettings({ buildArg, target, cache, worker, readyTimeout }: BuildOptions): BuildSettings {
  return {
    ...(buildArg === undefined ? {} : { buildArguments: buildArg }),
    ...(target === undefined ? {} : { target }),
    ...(cache ? {} : { noCache: true }),
    ...(worker === undefined ? {} : { worker }),
    ...(readyTimeout === undefined ? {} : { readyTimeoutSeconds: readyTimeout }),
  };
}

function showLine(progress: Progress, line: string, options: BuildOptions): void {
  if (!options.quiet) progress.interrupt(() => note(harmless(line)));
}

function settingsOf(options: BuildOptions, uri: string): ImageSettings {
  return {
    name: options.name,
    uri,
    description: options.description,
    memoryInMiB: options.memory,
    environmentVariables: options.env,
    hooks: options.hook,
    hookPort: options.hookPort,
    egress: options.egress,
  };
}
