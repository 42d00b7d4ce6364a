import {
  GetMicrovmImageVersionCommand,
  type GetMicrovmImageVersionCommandOutput,
  ListMicrovmImageBuildsCommand,
} from '@aws-sdk/client-lambda-microvms';
import { defaultLogGroup } from '../telemetry/log-store.ts';
import type { Client } from './client.ts';
import { buildStreams } from './commands/logs.ts';
import { CliError } from './errors.ts';
import { imageName } from './identify.ts';
import type { StartedBuild } from './image-build.ts';
import { logStreams, readLog } from './log-stream.ts';
import { poll } from './wait.ts';

const pollMs = 300;

export interface BuildOutcome {
  readonly state: string;
  /** Why it failed, or what is to be known of a version that was built. */
  readonly reason: string | undefined;
}

/**
 * Shows a build's log as it comes; resolves when the build has ended, well or not.
 * @throws {CliError} it took longer than `timeout` seconds
 */
export async function followBuild(
  client: Client,
  build: StartedBuild & { readonly timeout?: number | undefined },
  showLine: (line: string) => void,
): Promise<BuildOutcome> {
  const microvms = await client.microvms();
  const identity = { imageIdentifier: build.imageArn, imageVersion: build.imageVersion };
  const deadline = build.timeout === undefined ? undefined : Date.now() + build.timeout * 1000;
  const showNews = logReader(client, build, showLine);
  return await poll(pollMs, async () => {
    const version = await microvms.send(new GetMicrovmImageVersionCommand(identity));
    await showNews();
    if (version.state !== 'PENDING' && version.state !== 'IN_PROGRESS') {
      return { state: version.state ?? '', reason: await reasonOf(client, version) };
    }
    if (deadline !== undefined && Date.now() > deadline) {
      throw new CliError(
        `The build is not ready after ${build.timeout} s.`,
        'It goes on; see: dormouse images',
      );
    }
    return undefined;
  });
}

/** Each call shows what has been written since the last. */
function logReader(
  client: Client,
  build: StartedBuild,
  showLine: (line: string) => void,
): () => Promise<void> {
  const group = defaultLogGroup(imageName(build.imageArn));
  const seen = new Map<string, number>();
  return async () => {
    for (const stream of buildStreams(await logStreams(client, group), build.imageVersion)) {
      for await (const event of readLog(client, { group, stream, after: seen.get(stream) ?? 0 })) {
        showLine(event.message);
        seen.set(stream, event.sequence);
      }
    }
  };
}

async function reasonOf(
  client: Client,
  version: GetMicrovmImageVersionCommandOutput,
): Promise<string | undefined> {
  if (typeof version.stateReason === 'string') return version.stateReason;
  if (version.state === 'SUCCESSFUL') return undefined;
  const builds = await (await client.microvms()).send(
    new ListMicrovmImageBuildsCommand({
      imageIdentifier: version.imageArn,
      imageVersion: version.imageVersion,
    }),
  );
  return builds.items?.find(({ stateReason }) => typeof stateReason === 'string')?.stateReason;
}
