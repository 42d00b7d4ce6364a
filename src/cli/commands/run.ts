import { type IdlePolicy, RunMicrovmCommand } from '@aws-sdk/client-lambda-microvms';
import type { Command } from 'commander';
import { type ActivitySettings, parseActivity, setActivity } from '../activity-settings.ts';
import { collect, parseDuration } from '../arguments.ts';
import type { Client } from '../client.ts';
import { connectorArns } from '../connectors.ts';
import { UsageError } from '../errors.ts';
import { imageArnOf } from '../identify.ts';
import { print, printJson, stateText } from '../output.ts';
import { withProgress } from '../progress.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';
import { untilRunning } from '../until-running.ts';
import { waterfall } from '../waterfall.ts';
import { inspect } from './inspect.ts';

interface RunOptions extends RemoteOptions {
  readonly idle?: number;
  readonly suspended?: number;
  readonly autoResume: boolean;
  readonly maxDuration?: number;
  readonly payload?: string;
  readonly version?: string;
  readonly shell?: true;
  readonly awakeOn?: ActivitySettings;
  readonly egress?: readonly string[];
  readonly wait?: true;
  readonly trace?: true;
}

/** How long a sleeping VM is kept when only `--idle` is given. */
const defaultSuspendedSeconds = 28_800;

export function addRun(program: Command): void {
  const command = remote(program.command('run'))
    .description('launch a microVM from an image')
    .argument('<image>', 'name or ARN of the image')
    .option('--idle <duration>', 'suspend after this long without traffic', parseDuration)
    .option('--suspended <duration>', 'terminate after sleeping this long (default: 8h)', parseDuration)
    .option('--no-auto-resume', 'do not wake for a request')
    .option('--max-duration <duration>', 'terminate after this long', parseDuration)
    .option('--payload <text>', 'handed to the /run hook')
    .option('--version <version>', 'version of the image (default: the newest active one)')
    .option(
      '--awake-on <settings>',
      'what keeps it awake besides traffic: requests (under way), exec, cpu=20%, with commas, or bytes for none (default: requests,exec)',
      parseActivity,
    )
    .option('--shell', 'allow `dormouse shell` and `dormouse exec`')
    .option(
      '--egress <connector>',
      'what it reaches: name of a network connector, or INTERNET_EGRESS; may be repeated (default: that of the image)',
      collect,
    )
    .option('--wait', 'return when it runs')
    .option('--trace', 'wait, and show where the time of the launch went')
    .action(async (image: string, options: RunOptions) => {
      await withClient(options, async (client) => await run(client, image, options));
    });
  examples(
    command,
    'dormouse run counter --wait',
    'dormouse run counter --trace',
    'dormouse run counter --idle 30s --suspended 2h',
    'dormouse run counter --idle 30s --awake-on exec,cpu=20%',
    'dormouse run counter --egress office',
    'dormouse run counter --payload \'{"tenant":7}\' --json',
  );
}

async function run(client: Client, image: string, options: RunOptions): Promise<void> {
  const microvms = await client.microvms();
  const idlePolicy = idlePolicyOf(options);
  const launched = await microvms.send(
    new RunMicrovmCommand({
      imageIdentifier: await imageArnOf(client, image),
      imageVersion: options.version,
      maximumDurationInSeconds: options.maxDuration,
      runHookPayload: options.payload,
      idlePolicy,
      ingressNetworkConnectors: options.shell
        ? await connectorArns(client, ['HTTP_INGRESS', 'SHELL_INGRESS'])
        : undefined,
      egressNetworkConnectors: options.egress && (await connectorArns(client, options.egress)),
    }),
  );
  const id = launched.microvmId ?? '';
  if (options.awakeOn !== undefined) await setActivity(client, id, options.awakeOn);
  const wait = options.wait || options.trace;
  const microvm = wait ? await withProgress(`launching ${id}`, () => untilRunning(client, id)) : launched;
  const trace = options.trace ? (await inspect(client, id)).traces?.launch : undefined;
  if (options.json) {
    const { $metadata, ...shown } = microvm;
    printJson({ ...shown, trace });
  } else {
    print(`${id}  ${stateText(microvm.state)}  https://${microvm.endpoint}`);
    if (trace !== undefined) print(waterfall('launch', trace));
  }
}

function idlePolicyOf(options: RunOptions): IdlePolicy | undefined {
  if (options.idle === undefined) {
    if (options.suspended !== undefined || !options.autoResume) {
      throw new UsageError(
        '--suspended and --no-auto-resume need --idle: without it the microVM never sleeps by itself.',
      );
    }
    return undefined;
  }
  return {
    maxIdleDurationSeconds: options.idle,
    suspendedDurationSeconds: options.suspended ?? defaultSuspendedSeconds,
    autoResumeEnabled: options.autoResume,
  };
}
