import * as sdk from '@aws-sdk/client-lambda-microvms';
import { imageArn as arnOf, managedBaseImageArn } from '../../src/model/arn.ts';
import { realm } from '../api/server.ts';

/** What is there to be named in requests. */
export interface Things {
  readonly imageArn: string;
  readonly buildId: string;
  /** Gives a microVM that runs. */
  microvm(): Promise<string>;
}

/** One operation as the official client calls it. */
export interface Case {
  readonly name: string;
  /** Calls it with input that succeeds. */
  good(client: sdk.LambdaMicrovmsClient, things: Things): Promise<object>;
  /** Calls it with input that breaks a constraint. */
  invalid(client: sdk.LambdaMicrovmsClient): Promise<object>;
  /** Calls it for something that is not there; undefined where it names nothing. */
  missing: ((client: sdk.LambdaMicrovmsClient) => Promise<object>) | undefined;
}

const { accountId, region } = realm;
const none = arnOf(realm, 'none');
const noMicrovm = 'microvm-00000000-0000-4000-8000-000000000000';
const tooLong = 'x'.repeat(257);

const configuration = {
  baseImageArn: managedBaseImageArn(region),
  buildRoleArn: `arn:aws:iam::${accountId}:role/build`,
  codeArtifact: { uri: 's3://bucket/demo.zip' },
};
let images = 0;

/** An image of its own. */
export async function newImage(client: sdk.LambdaMicrovmsClient): Promise<string> {
  images += 1;
  const command = new sdk.CreateMicrovmImageCommand({ name: `image-${images}`, ...configuration });
  return (await client.send(command)).imageArn ?? '';
}

/** Ties good, invalid and missing input to one operation. */
function operation<Input extends object, Output extends object>(
  name: string,
  send: (client: sdk.LambdaMicrovmsClient, input: Input) => Promise<Output>,
  inputs: {
    readonly good: (things: Things, client: sdk.LambdaMicrovmsClient) => Input | Promise<Input>;
    readonly invalid: Input;
    readonly missing?: Input;
  },
): Case {
  const { good, invalid, missing } = inputs;
  return {
    name,
    good: async (client, things) => await send(client, await good(things, client)),
    invalid: (client) => send(client, invalid),
    missing: missing === undefined ? undefined : (client) => send(client, missing),
  };
}

/** An operation on one microVM. */
function onMicrovm<Input extends { microvmIdentifier: string | undefined }, Output extends object>(
  name: string,
  send: (client: sdk.LambdaMicrovmsClient, input: Input) => Promise<Output>,
  more: Omit<Input, 'microvmIdentifier'>,
): Case {
  const input = (microvmIdentifier: string): Input => ({ ...more, microvmIdentifier }) as Input;
  return operation(name, send, {
    good: async (things) => input(await things.microvm()),
    invalid: input(tooLong),
    missing: input(noMicrovm),
  });
}

const port = [{ port: 8080 }];

/** Every operation of the service. */
export const cases: readonly Case[] = [
  operation('RunMicrovm', (c, i: sdk.RunMicrovmCommandInput) => c.send(new sdk.RunMicrovmCommand(i)), {
    good: ({ imageArn }) => ({ imageIdentifier: imageArn }),
    invalid: { imageIdentifier: tooLong },
    missing: { imageIdentifier: none },
  }),
  operation('ListMicrovms', (c, i: sdk.ListMicrovmsCommandInput) => c.send(new sdk.ListMicrovmsCommand(i)), {
    good: () => ({}),
    invalid: { maxResults: 51 },
  }),
  onMicrovm('GetMicrovm', (c, i: sdk.GetMicrovmCommandInput) => c.send(new sdk.GetMicrovmCommand(i)), {}),
  onMicrovm(
    'SuspendMicrovm',
    (c, i: sdk.SuspendMicrovmCommandInput) => c.send(new sdk.SuspendMicrovmCommand(i)),
    {},
  ),
  onMicrovm(
    'ResumeMicrovm',
    (c, i: sdk.ResumeMicrovmCommandInput) => c.send(new sdk.ResumeMicrovmCommand(i)),
    {},
  ),
  onMicrovm(
    'TerminateMicrovm',
    (c, i: sdk.TerminateMicrovmCommandInput) => c.send(new sdk.TerminateMicrovmCommand(i)),
    {},
  ),
  onMicrovm(
    'CreateMicrovmAuthToken',
    (c, i: sdk.CreateMicrovmAuthTokenCommandInput) => c.send(new sdk.CreateMicrovmAuthTokenCommand(i)),
    { expirationInMinutes: 5, allowedPorts: port },
  ),
  operation(
    'CreateMicrovmShellAuthToken',
    (c, i: sdk.CreateMicrovmShellAuthTokenCommandInput) =>
      c.send(new sdk.CreateMicrovmShellAuthTokenCommand(i)),
    {
      good: async ({ imageArn }, client) => {
        const shell = `arn:aws:lambda:${region}:aws:network-connector:aws-network-connector:SHELL_INGRESS`;
        const run = new sdk.RunMicrovmCommand({
          imageIdentifier: imageArn,
          ingressNetworkConnectors: [shell],
        });
        return { microvmIdentifier: (await client.send(run)).microvmId, expirationInMinutes: 5 };
      },
      invalid: { microvmIdentifier: 'x', expirationInMinutes: 0 },
      missing: { microvmIdentifier: noMicrovm, expirationInMinutes: 5 },
    },
  ),
  operation(
    'CreateMicrovmImage',
    (c, i: sdk.CreateMicrovmImageCommandInput) => c.send(new sdk.CreateMicrovmImageCommand(i)),
    {
      good: () => ({ name: 'created', ...configuration }),
      invalid: { name: 'not a name', ...configuration },
    },
  ),
  operation(
    'UpdateMicrovmImage',
    (c, i: sdk.UpdateMicrovmImageCommandInput) => c.send(new sdk.UpdateMicrovmImageCommand(i)),
    {
      good: async (_things, client) => ({ imageIdentifier: await newImage(client), ...configuration }),
      invalid: { imageIdentifier: none, ...configuration, buildRoleArn: 'short' },
      missing: { imageIdentifier: none, ...configuration },
    },
  ),
  operation(
    'GetMicrovmImage',
    (c, i: sdk.GetMicrovmImageCommandInput) => c.send(new sdk.GetMicrovmImageCommand(i)),
    {
      good: ({ imageArn }) => ({ imageIdentifier: imageArn }),
      invalid: { imageIdentifier: tooLong },
      missing: { imageIdentifier: none },
    },
  ),
  operation(
    'ListMicrovmImages',
    (c, i: sdk.ListMicrovmImagesCommandInput) => c.send(new sdk.ListMicrovmImagesCommand(i)),
    { good: () => ({}), invalid: { maxResults: 0 } },
  ),
  operation(
    'DeleteMicrovmImage',
    (c, i: sdk.DeleteMicrovmImageCommandInput) => c.send(new sdk.DeleteMicrovmImageCommand(i)),
    {
      good: async (_things, client) => ({ imageIdentifier: await newImage(client) }),
      invalid: { imageIdentifier: tooLong },
      missing: { imageIdentifier: none },
    },
  ),
  operation(
    'GetMicrovmImageVersion',
    (c, i: sdk.GetMicrovmImageVersionCommandInput) => c.send(new sdk.GetMicrovmImageVersionCommand(i)),
    {
      good: ({ imageArn }) => ({ imageIdentifier: imageArn, imageVersion: '1.0' }),
      invalid: { imageIdentifier: tooLong, imageVersion: '1.0' },
      missing: { imageIdentifier: none, imageVersion: '1.0' },
    },
  ),
  operation(
    'ListMicrovmImageVersions',
    (c, i: sdk.ListMicrovmImageVersionsCommandInput) => c.send(new sdk.ListMicrovmImageVersionsCommand(i)),
    {
      good: ({ imageArn }) => ({ imageIdentifier: imageArn }),
      invalid: { imageIdentifier: none, maxResults: 51 },
      missing: { imageIdentifier: none },
    },
  ),
  operation(
    'UpdateMicrovmImageVersion',
    (c, i: sdk.UpdateMicrovmImageVersionCommandInput) => c.send(new sdk.UpdateMicrovmImageVersionCommand(i)),
    {
      good: ({ imageArn }) => ({ imageIdentifier: imageArn, imageVersion: '1.0', status: 'ACTIVE' as const }),
      invalid: { imageIdentifier: tooLong, imageVersion: '1.0', status: 'ACTIVE' as const },
      missing: { imageIdentifier: none, imageVersion: '1.0', status: 'ACTIVE' as const },
    },
  ),
  operation(
    'DeleteMicrovmImageVersion',
    (c, i: sdk.DeleteMicrovmImageVersionCommandInput) => c.send(new sdk.DeleteMicrovmImageVersionCommand(i)),
    {
      good: async (_things, client) => {
        const imageIdentifier = await newImage(client);
        await client.send(new sdk.UpdateMicrovmImageCommand({ imageIdentifier, ...configuration }));
        return { imageIdentifier, imageVersion: '1.0' };
      },
      invalid: { imageIdentifier: tooLong, imageVersion: '1.0' },
      missing: { imageIdentifier: none, imageVersion: '1.0' },
    },
  ),
  operation(
    'ListMicrovmImageBuilds',
    (c, i: sdk.ListMicrovmImageBuildsCommandInput) => c.send(new sdk.ListMicrovmImageBuildsCommand(i)),
    {
      good: ({ imageArn }) => ({ imageIdentifier: imageArn, imageVersion: '1.0' }),
      invalid: { imageIdentifier: none, imageVersion: '1.0', maxResults: 51 },
      missing: { imageIdentifier: none, imageVersion: '1.0' },
    },
  ),
  operation(
    'GetMicrovmImageBuild',
    (c, i: sdk.GetMicrovmImageBuildCommandInput) => c.send(new sdk.GetMicrovmImageBuildCommand(i)),
    {
      good: ({ imageArn, buildId }) => ({ imageIdentifier: imageArn, imageVersion: '1.0', buildId }),
      invalid: { imageIdentifier: tooLong, imageVersion: '1.0', buildId: 'x' },
      missing: { imageIdentifier: none, imageVersion: '1.0', buildId: 'x' },
    },
  ),
  operation(
    'ListManagedMicrovmImages',
    (c, i: sdk.ListManagedMicrovmImagesCommandInput) => c.send(new sdk.ListManagedMicrovmImagesCommand(i)),
    { good: () => ({}), invalid: { maxResults: 51 } },
  ),
  operation(
    'ListManagedMicrovmImageVersions',
    (c, i: sdk.ListManagedMicrovmImageVersionsCommandInput) =>
      c.send(new sdk.ListManagedMicrovmImageVersionsCommand(i)),
    {
      good: () => ({ imageIdentifier: managedBaseImageArn(region) }),
      invalid: { imageIdentifier: managedBaseImageArn(region), maxResults: 51 },
      missing: { imageIdentifier: none },
    },
  ),
  operation('ListTags', (c, i: sdk.ListTagsCommandInput) => c.send(new sdk.ListTagsCommand(i)), {
    good: ({ imageArn }) => ({ Resource: imageArn }),
    invalid: { Resource: 'x' },
    missing: { Resource: none },
  }),
  operation('TagResource', (c, i: sdk.TagResourceCommandInput) => c.send(new sdk.TagResourceCommand(i)), {
    good: ({ imageArn }) => ({ Resource: imageArn, Tags: { team: 'a' } }),
    invalid: { Resource: 'x', Tags: { team: 'a' } },
    missing: { Resource: none, Tags: { team: 'a' } },
  }),
  operation(
    'UntagResource',
    (c, i: sdk.UntagResourceCommandInput) => c.send(new sdk.UntagResourceCommand(i)),
    {
      good: ({ imageArn }) => ({ Resource: imageArn, TagKeys: ['team'] }),
      invalid: { Resource: 'x', TagKeys: ['team'] },
      missing: { Resource: none, TagKeys: ['team'] },
    },
  ),
];
