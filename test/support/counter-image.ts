import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  CreateMicrovmImageCommand,
  type CreateMicrovmImageCommandInput,
  GetMicrovmImageCommand,
  ListMicrovmImageBuildsCommand,
} from '@aws-sdk/client-lambda-microvms';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { ZipFile } from 'yazl';
import type { ServerClients } from './dormouse-server.ts';

const examples = fileURLToPath(new URL('../../examples', import.meta.url));
const buildRoleArn = 'arn:aws:iam::000000000000:role/build';

/** Files of an image's context: name in the zip → content. */
export type Context = Readonly<Record<string, string | Buffer>>;

export function counterContext(): Promise<Context> {
  return exampleContext('counter');
}

/** The files of an example as its Dockerfile's context. */
export async function exampleContext(name: string): Promise<Context> {
  const directory = path.join(examples, name);
  const names = (await readdir(directory, { withFileTypes: true })).filter((entry) => entry.isFile());
  const files = await Promise.all(
    names.map(async (entry) => [entry.name, await readFile(path.join(directory, entry.name))] as const),
  );
  return Object.fromEntries(files);
}

export async function zip(context: Context): Promise<Buffer> {
  const archive = new ZipFile();
  for (const [name, content] of Object.entries(context)) archive.addBuffer(Buffer.from(content), name);
  archive.end();
  return Buffer.concat(await Array.fromAsync(archive.outputStream as AsyncIterable<Buffer>));
}

/** Uploads a zip and creates an image from it; resolves with the image's ARN while the build goes on. */
export async function createImage(
  server: ServerClients,
  name: string,
  archive: Buffer,
  members: Partial<CreateMicrovmImageCommandInput> = {},
): Promise<string> {
  const bucket = `dormouse-artifacts-${server.ready.accountId}`;
  await server.s3.send(new PutObjectCommand({ Bucket: bucket, Key: `${name}.zip`, Body: archive }));
  const created = await server.client.send(
    new CreateMicrovmImageCommand({
      name,
      baseImageArn: `arn:aws:lambda:${server.ready.region}:aws:microvm-image:al2023-1`,
      buildRoleArn,
      codeArtifact: { uri: `s3://${bucket}/${name}.zip` },
      resources: [{ minimumMemoryInMiB: 256 }],
      ...members,
    }),
  );
  return created.imageArn ?? '';
}

export interface BuildOutcome {
  readonly state: string;
  readonly reason: string;
}

const pollMs = 250;

/** Follows an image until it is built or has failed; the service has no event for it, so clients poll. */
export async function builtImage(server: ServerClients, imageArn: string): Promise<BuildOutcome> {
  for (;;) {
    const image = await server.client.send(new GetMicrovmImageCommand({ imageIdentifier: imageArn }));
    if (image.state !== 'CREATING' && image.state !== 'UPDATING') {
      const builds = await server.client.send(
        new ListMicrovmImageBuildsCommand({ imageIdentifier: imageArn, imageVersion: '1.0' }),
      );
      return { state: image.state ?? '', reason: builds.items?.[0]?.stateReason ?? '' };
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}
