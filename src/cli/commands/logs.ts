import { GetMicrovmImageCommand, GetMicrovmImageVersionCommand } from '@aws-sdk/client-lambda-microvms';
import type { Command } from 'commander';
import { defaultLogGroup, microvmLogStream, type StoredLogEvent } from '../../telemetry/log-store.ts';
import type { Client } from '../client.ts';
import { CliError } from '../errors.ts';
import { imageArnOf, imageName, resolveMicrovm } from '../identify.ts';
import { logStreams, readLog } from '../log-stream.ts';
import { harmless, print, style } from '../output.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';
import { inspect } from './inspect.ts';

interface LogsOptions extends RemoteOptions {
  readonly follow?: true;
  readonly timestamps?: true;
  readonly image?: true;
}

interface Source {
  readonly group: string;
  readonly streams: readonly string[];
}

type CloudWatch = { readonly logGroup?: string; readonly logStream?: string };

export function addLogs(program: Command): void {
  const command = remote(program.command('logs'))
    .description('output of a microVM, or of the newest build of an image')
    .argument('<microvm|image>', "the microVM's id or the start of it, or the image's name")
    .option('-f, --follow', 'go on as output comes')
    .option('-t, --timestamps', 'show when each line came')
    .option('--image', 'it is an image, even if a microVM fits too')
    .action(async (name: string, options: LogsOptions) => {
      await withClient(options, async (client) => await logs(client, name, options));
    });
  examples(command, 'dormouse logs 3f2a -f', 'dormouse logs counter');
}

async function logs(client: Client, name: string, options: LogsOptions): Promise<void> {
  const source = await findSource(client, name, options);
  const show = (stream: string) => (event: StoredLogEvent) => printEvent(event, stream, options);
  if (options.follow) {
    await Promise.all(
      source.streams.map((stream) => printAll(client, source.group, stream, true, show(stream))),
    );
    return;
  }
  for (const stream of source.streams) await printAll(client, source.group, stream, false, show(stream));
}

async function printAll(
  client: Client,
  group: string,
  stream: string,
  follow: boolean,
  show: (event: StoredLogEvent) => void,
): Promise<void> {
  for await (const event of readLog(client, { group, stream, follow })) show(event);
}

function printEvent(event: StoredLogEvent, stream: string, options: LogsOptions): void {
  if (options.json) {
    print(JSON.stringify({ ...event, stream }));
    return;
  }
  const time = options.timestamps ? `${style(new Date(event.timestamp).toISOString(), 'dim')} ` : '';
  print(time + harmless(event.message));
}

async function findSource(client: Client, name: string, options: LogsOptions): Promise<Source> {
  if (options.image || (!name.startsWith('microvm-') && (await imageExists(client, name)))) {
    return await imageSource(client, name);
  }
  const microvm = await resolveMicrovm(client, name);
  const { logging } = await inspect(client, microvm.microvmId ?? '');
  const settings = cloudWatchOf(logging);
  if (settings === 'disabled') throw new CliError(`Logging is disabled for ${microvm.microvmId}.`);
  const standard = microvmLogStream(
    microvm.startedAt?.getTime() ?? 0,
    microvm.imageVersion ?? '',
    microvm.microvmId ?? '',
  );
  return {
    group: settings.logGroup ?? defaultLogGroup(imageName(microvm.imageArn)),
    streams: [settings.logStream ?? standard],
  };
}

async function imageExists(client: Client, name: string): Promise<boolean> {
  try {
    const imageIdentifier = await imageArnOf(client, name);
    await (await client.microvms()).send(new GetMicrovmImageCommand({ imageIdentifier }));
    return true;
  } catch (error) {
    if (error instanceof Error && ['ResourceNotFoundException', 'ValidationException'].includes(error.name)) {
      return false;
    }
    throw error;
  }
}

async function imageSource(client: Client, name: string): Promise<Source> {
  const microvms = await client.microvms();
  const imageIdentifier = await imageArnOf(client, name);
  const image = await microvms.send(new GetMicrovmImageCommand({ imageIdentifier }));
  const versions = [image.latestActiveImageVersion, image.latestFailedImageVersion, '1.0'].filter(
    (version) => typeof version === 'string',
  );
  const imageVersion = versions.reduce((a, b) => (Number.parseInt(b, 10) > Number.parseInt(a, 10) ? b : a));
  const version = await microvms.send(new GetMicrovmImageVersionCommand({ imageIdentifier, imageVersion }));
  const settings = cloudWatchOf(version.logging);
  if (settings === 'disabled') throw new CliError(`Logging is disabled for ${name}.`);
  const group = settings.logGroup ?? defaultLogGroup(imageName(imageIdentifier));
  return { group, streams: buildStreams(await logStreams(client, group), imageVersion) };
}

const buildKinds = ['docker', 'snapshot', 'validate'] as const;

/** The streams of a version's build, in the order they were written. */
export function buildStreams(streams: readonly string[], imageVersion: string): readonly string[] {
  const kindOf = (stream: string): number =>
    buildKinds.findIndex((kind) => stream.includes(`[${imageVersion}]build-${kind}-`));
  return streams.filter((stream) => kindOf(stream) !== -1).sort((a, b) => kindOf(a) - kindOf(b));
}

function cloudWatchOf(logging: unknown): CloudWatch | 'disabled' {
  if (typeof logging !== 'object' || logging === null) return {};
  if ('disabled' in logging && logging.disabled) return 'disabled';
  return 'cloudWatch' in logging && logging.cloudWatch ? (logging.cloudWatch as CloudWatch) : {};
}
