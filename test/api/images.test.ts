import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  CreateMicrovmImageCommand,
  type CreateMicrovmImageCommandInput,
  DeleteMicrovmImageCommand,
  DeleteMicrovmImageVersionCommand,
  GetMicrovmImageBuildCommand,
  GetMicrovmImageCommand,
  GetMicrovmImageVersionCommand,
  LambdaMicrovmsClient,
  ListManagedMicrovmImagesCommand,
  ListManagedMicrovmImageVersionsCommand,
  ListMicrovmImageBuildsCommand,
  ListTagsCommand,
  paginateListMicrovmImages,
  paginateListMicrovmImageVersions,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateMicrovmImageCommand,
  UpdateMicrovmImageVersionCommand,
} from '@aws-sdk/client-lambda-microvms';
import { managedBaseImageArn } from '../../src/model/arn.ts';
import { realm, startServer, type TestServer } from './server.ts';

let server: TestServer;
let client: LambdaMicrovmsClient;

before(async () => {
  server = await startServer('aws');
  client = new LambdaMicrovmsClient({ ...server.client, maxAttempts: 1 });
});

after(async () => {
  client.destroy();
  await server.close();
  assert.deepEqual(server.faults, []);
});

const configuration = {
  baseImageArn: managedBaseImageArn(realm.region),
  buildRoleArn: `arn:aws:iam::${realm.accountId}:role/build`,
  codeArtifact: { uri: 's3://bucket/demo.zip' },
} as const;

async function create(name: string, input: Partial<CreateMicrovmImageCommandInput> = {}): Promise<string> {
  const { imageArn } = await client.send(new CreateMicrovmImageCommand({ ...configuration, name, ...input }));
  assert(imageArn !== undefined);
  return imageArn;
}

test('keeps the whole configuration of a version', async () => {
  const full = {
    description: 'a demo',
    logging: { cloudWatch: { logGroup: '/my/group' } },
    resources: [{ minimumMemoryInMiB: 512 }],
    additionalOsCapabilities: ['ALL' as const],
    cpuConfigurations: [{ architecture: 'ARM_64' as const }],
    hooks: {
      port: 9000,
      microvmHooks: { run: 'ENABLED' as const, runTimeoutInSeconds: 5 },
      microvmImageHooks: { ready: 'ENABLED' as const },
    },
    environmentVariables: { A: 'b', __proto__x: 'c' },
  };
  const imageIdentifier = await create('full', { ...full, tags: { team: 'red' } });
  const version = await client.send(
    new GetMicrovmImageVersionCommand({ imageIdentifier, imageVersion: '1.0' }),
  );
  for (const [name, value] of Object.entries(full)) assert.deepEqual(version[name as never], value, name);
  assert.equal(version.state, 'SUCCESSFUL');
  const image = await client.send(new GetMicrovmImageCommand({ imageIdentifier }));
  assert.deepEqual(image.tags, { team: 'red' });
});

test('updates into a next version and changes its status', async () => {
  const imageIdentifier = await create('updated');
  const updated = await client.send(new UpdateMicrovmImageCommand({ ...configuration, imageIdentifier }));
  assert.equal(updated.imageVersion, '2.0');
  assert.equal(updated.state, 'UPDATING');
  const version = await client.send(
    new UpdateMicrovmImageVersionCommand({ imageIdentifier, imageVersion: '1.0', status: 'INACTIVE' }),
  );
  assert.equal(version.status, 'INACTIVE');
  const listed = [];
  for await (const page of paginateListMicrovmImageVersions({ client, pageSize: 1 }, { imageIdentifier })) {
    listed.push(...(page.items ?? []).map((item) => [item.imageVersion, item.status]));
  }
  assert.deepEqual(listed, [
    ['2.0', 'ACTIVE'],
    ['1.0', 'INACTIVE'],
  ]);
  const deleted = await client.send(
    new DeleteMicrovmImageVersionCommand({ imageIdentifier, imageVersion: '1.0' }),
  );
  assert.equal(deleted.state, 'DELETING');
});

test('deletes images and refuses the last version', async () => {
  const imageIdentifier = await create('deleted');
  await assert.rejects(
    client.send(new DeleteMicrovmImageVersionCommand({ imageIdentifier, imageVersion: '1.0' })),
    { name: 'ValidationException', message: 'This is the last version. Please delete the entire image' },
  );
  const deleted = await client.send(new DeleteMicrovmImageCommand({ imageIdentifier }));
  assert.deepEqual([deleted.imageIdentifier, deleted.state], [imageIdentifier, 'DELETING']);
  await assert.rejects(client.send(new GetMicrovmImageCommand({ imageIdentifier })), {
    name: 'ResourceNotFoundException',
    message: `MicroVMImage not found for MicroVMImageID: ${imageIdentifier}`,
  });
});

test('lists images, by name too', async () => {
  await create('list-one');
  await create('list-two');
  const listed = [];
  for await (const page of paginateListMicrovmImages({ client, pageSize: 1 }, { nameFilter: 'list-' })) {
    listed.push(...(page.items ?? []).map((item) => item.name));
  }
  assert.deepEqual(listed, ['list-one', 'list-two']);
});

test('shows two builds of a version in the aws profile', async () => {
  const imageIdentifier = await create('built');
  const version = { imageIdentifier, imageVersion: '1.0' };
  const { items = [] } = await client.send(
    new ListMicrovmImageBuildsCommand({ imageIdentifier, imageVersion: '1' }),
  );
  assert.deepEqual(
    items.map((item) => [item.architecture, item.chipset, item.chipsetGeneration, item.buildState]),
    [
      ['ARM_64', 'GRAVITON', '4', 'SUCCESSFUL'],
      ['ARM_64', 'GRAVITON', '3', 'SUCCESSFUL'],
    ],
  );
  for (const { buildId, chipsetGeneration } of items) {
    const build = await client.send(new GetMicrovmImageBuildCommand({ ...version, buildId }));
    assert.equal(build.chipsetGeneration, chipsetGeneration);
    assert.deepEqual(build.snapshotBuild, {
      memorySnapshotSizeInBytes: 3,
      codeInstallSizeInBytes: 2,
      diskSnapshotSizeInBytes: 1,
    });
  }
  const third = await client.send(new ListMicrovmImageBuildsCommand({ ...version, chipsetGeneration: '3' }));
  assert.deepEqual(
    third.items?.map((item) => item.buildId),
    [items[1]?.buildId],
  );
  const first = await client.send(new ListMicrovmImageBuildsCommand({ ...version, maxResults: 1 }));
  const second = await client.send(
    new ListMicrovmImageBuildsCommand({ ...version, maxResults: 1, nextToken: first.nextToken }),
  );
  assert.deepEqual([...(first.items ?? []), ...(second.items ?? [])], items);
  assert.equal(second.nextToken, undefined);
  await assert.rejects(client.send(new GetMicrovmImageBuildCommand({ ...version, buildId: 'other' })), {
    name: 'ResourceNotFoundException',
  });
});

test('shows the one real build in the relaxed profile', async () => {
  const relaxed = await startServer('relaxed');
  const other = new LambdaMicrovmsClient({ ...relaxed.client, maxAttempts: 1 });
  try {
    await other.send(new CreateMicrovmImageCommand({ ...configuration, name: 'built' }));
    const { items = [] } = await other.send(
      new ListMicrovmImageBuildsCommand({ imageIdentifier: 'built', imageVersion: '1.0' }),
    );
    assert.deepEqual(
      items.map((item) => [item.architecture, item.chipset]),
      [['X86_64', 'GENERIC']],
    );
  } finally {
    other.destroy();
    await relaxed.close();
  }
});

test('tags, lists tags and untags', async () => {
  const Resource = await create('tagged');
  const tags = async () => (await client.send(new ListTagsCommand({ Resource }))).Tags;
  assert.deepEqual(await tags(), {});
  await client.send(new TagResourceCommand({ Resource, Tags: { a: '1', b: '2' } }));
  await client.send(new TagResourceCommand({ Resource, Tags: { b: '3', c: '' } }));
  assert.deepEqual(await tags(), { a: '1', b: '3', c: '' });
  await client.send(new UntagResourceCommand({ Resource, TagKeys: ['a', 'c'] }));
  assert.deepEqual(await tags(), { b: '3' });
  await assert.rejects(client.send(new ListTagsCommand({ Resource: Resource.replace('tagged', 'gone') })), {
    name: 'ResourceNotFoundException',
  });
  await assert.rejects(
    client.send(new TagResourceCommand({ Resource, Tags: { ['x'.repeat(129)]: '' } })),
    /Map keys must satisfy constraint/,
  );
});

test('lists the managed image and its versions, newest first', async () => {
  const { items = [] } = await client.send(new ListManagedMicrovmImagesCommand({}));
  assert.deepEqual(
    items.map((item) => item.imageArn),
    [managedBaseImageArn(realm.region)],
  );
  const versions = await client.send(
    new ListManagedMicrovmImageVersionsCommand({ imageIdentifier: managedBaseImageArn(realm.region) }),
  );
  assert.deepEqual(
    versions.items?.map((item) => [item.imageVersion, item.status, item.createdAt]),
    [
      ['1', 'AVAILABLE', new Date('2026-07-21')],
      ['0', 'AVAILABLE', new Date('2026-06-17')],
    ],
  );
});
