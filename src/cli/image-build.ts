import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import {
  CreateMicrovmImageCommand,
  GetMicrovmImageCommand,
  type Hooks,
  UpdateMicrovmImageCommand,
} from '@aws-sdk/client-lambda-microvms';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { HookOption, HookTimeouts } from './arguments.ts';
import type { PackedContext } from './build-context.ts';
import type { Client } from './client.ts';
import { connectorArns } from './connectors.ts';
import { imageArnOf } from './identify.ts';

export interface ImageSettings {
  readonly name: string;
  /** `s3://…` of the packed context. */
  readonly uri: string;
  readonly description?: string | undefined;
  readonly memoryInMiB?: number | undefined;
  readonly environmentVariables?: Record<string, string> | undefined;
  readonly hooks?: HookTimeouts | undefined;
  readonly hookPort: number;
  /** A network connector as people name it. */
  readonly egress?: string | undefined;
}

export interface StartedBuild {
  readonly imageArn: string;
  readonly imageVersion: string;
}

/**
 * Puts the context into the server's own bucket; resolves with its address.
 * @param once under a name of its own, for {@link removeContext}
 */
export async function uploadContext(
  client: Client,
  name: string,
  context: PackedContext,
  once: boolean,
): Promise<string> {
  const bucket = await bucketOf(client);
  const key = `${name}/${once ? `context-${randomUUID()}` : 'context'}.zip`;
  const s3 = await client.s3();
  await s3.send(
    new PutObjectCommand({
      Bucket: bucket,
      Key: key,
      Body: createReadStream(context.file),
      ContentLength: context.bytes,
      ContentType: 'application/zip',
    }),
  );
  s3.destroy();
  return `s3://${bucket}/${key}`;
}

/** Removes what {@link uploadContext} has put there, for the secrets in it. */
export async function removeContext(client: Client, uri: string): Promise<void> {
  const bucket = await bucketOf(client);
  const s3 = await client.s3();
  await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: uri.slice(`s3://${bucket}/`.length) }));
  s3.destroy();
}

async function bucketOf(client: Client): Promise<string> {
  const { accountId } = await client.server();
  return `dormouse-artifacts-${accountId}`;
}

/** Creates the image, or its next version when it is there. */
export async function startBuild(client: Client, settings: ImageSettings): Promise<StartedBuild> {
  const microvms = await client.microvms();
  const { region, accountId } = await client.server();
  const configuration = {
    baseImageArn: `arn:aws:lambda:${region}:aws:microvm-image:al2023-1`,
    buildRoleArn: `arn:aws:iam::${accountId}:role/dormouse-build`,
    codeArtifact: { uri: settings.uri },
    description: settings.description,
    environmentVariables: settings.environmentVariables,
    resources:
      settings.memoryInMiB === undefined ? undefined : [{ minimumMemoryInMiB: settings.memoryInMiB }],
    egressNetworkConnectors:
      settings.egress === undefined ? undefined : await connectorArns(client, [settings.egress]),
    hooks: settings.hooks === undefined ? undefined : hooksOf(settings.hooks, settings.hookPort),
  };
  const imageIdentifier = await imageArnOf(client, settings.name);
  const answer = (await imageExists(client, imageIdentifier))
    ? await microvms.send(new UpdateMicrovmImageCommand({ imageIdentifier, ...configuration }))
    : await microvms.send(new CreateMicrovmImageCommand({ name: settings.name, ...configuration }));
  return { imageArn: answer.imageArn ?? imageIdentifier, imageVersion: answer.imageVersion ?? '' };
}

export async function imageExists(client: Client, imageIdentifier: string): Promise<boolean> {
  try {
    await (await client.microvms()).send(new GetMicrovmImageCommand({ imageIdentifier }));
    return true;
  } catch (error) {
    if (error instanceof Error && error.name === 'ResourceNotFoundException') return false;
    throw error;
  }
}

function hooksOf(given: HookTimeouts, port: number): Hooks {
  // The service wants `ready` with any other one.
  const wanted: HookTimeouts = { ready: undefined, ...given };
  const members = (...names: readonly HookOption[]) =>
    Object.fromEntries(
      names.flatMap((name) => {
        if (!(name in wanted)) return [];
        const timeout = wanted[name];
        return [[name, 'ENABLED'], ...(timeout === undefined ? [] : [[`${name}TimeoutInSeconds`, timeout]])];
      }),
    );
  return {
    port,
    microvmImageHooks: members('ready', 'validate'),
    microvmHooks: members('run', 'resume', 'suspend', 'terminate'),
  };
}
