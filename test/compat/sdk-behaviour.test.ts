import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  LambdaMicrovmsClient,
  ListMicrovmsCommand,
  paginateListManagedMicrovmImages,
  paginateListManagedMicrovmImageVersions,
  paginateListMicrovmImageBuilds,
  paginateListMicrovmImages,
  paginateListMicrovmImageVersions,
  paginateListMicrovms,
  RunMicrovmCommand,
  SuspendMicrovmCommand,
  UpdateMicrovmImageCommand,
} from '@aws-sdk/client-lambda-microvms';
import { ratesOf } from '../../src/api/rates.ts';
import { managedBaseImageArn } from '../../src/model/arn.ts';
import type { Profile } from '../../src/model/limits.ts';
import { realm, startServer } from '../api/server.ts';
import { newImage } from './operations.ts';

async function start(context: TestContext, profile: Profile = 'relaxed', rates = {}) {
  const server = await startServer(profile, { options: { rates } });
  // Attempts and retries as anyone has them who configures nothing.
  const client = new LambdaMicrovmsClient(server.client);
  context.after(async () => {
    client.destroy();
    await server.close();
  });
  return { server, client };
}

/** Items of all pages, none of which is too long. */
async function collect<Item>(
  pages: AsyncIterable<{ items?: Item[] | undefined }>,
  pageSize: number,
): Promise<readonly Item[]> {
  const found: Item[] = [];
  for await (const { items = [] } of pages) {
    assert.ok(items.length <= pageSize);
    found.push(...items);
  }
  return found;
}

test('the paginators of the client find everything once', async (context) => {
  const { client } = await start(context);
  const pageSize = 2;
  const imageIdentifier = await newImage(client);
  for (let more = 0; more < 4; more += 1) await newImage(client);
  const update = {
    imageIdentifier,
    baseImageArn: managedBaseImageArn(realm.region),
    buildRoleArn: `arn:aws:iam::${realm.accountId}:role/build`,
    codeArtifact: { uri: 's3://bucket/demo.zip' },
  };
  for (let version = 2; version <= 5; version += 1) await client.send(new UpdateMicrovmImageCommand(update));
  const started = new Set<string | undefined>();
  for (let vm = 0; vm < 7; vm += 1) {
    started.add((await client.send(new RunMicrovmCommand({ imageIdentifier }))).microvmId);
  }
  const settings = { client, pageSize };
  const vms = await collect(paginateListMicrovms(settings, { imageIdentifier }), pageSize);
  assert.deepEqual(new Set(vms.map(({ microvmId }) => microvmId)), started);
  assert.equal(vms.length, 7);
  const images = await collect(paginateListMicrovmImages(settings, {}), pageSize);
  assert.equal(new Set(images.map(({ imageArn }) => imageArn)).size, 5);
  const versions = await collect(paginateListMicrovmImageVersions(settings, { imageIdentifier }), pageSize);
  assert.deepEqual(
    versions.map(({ imageVersion }) => imageVersion),
    ['5.0', '4.0', '3.0', '2.0', '1.0'],
  );
  const builds = paginateListMicrovmImageBuilds(
    { client, pageSize: 1 },
    { imageIdentifier, imageVersion: '1.0' },
  );
  assert.ok((await collect(builds, 1)).length >= 1);
  const managed = await collect(paginateListManagedMicrovmImages({ client, pageSize: 1 }, {}), 1);
  assert.deepEqual(
    managed.map(({ imageArn }) => imageArn),
    [managedBaseImageArn(realm.region)],
  );
  const managedVersions = paginateListManagedMicrovmImageVersions(
    { client, pageSize: 1 },
    { imageIdentifier: managedBaseImageArn(realm.region) },
  );
  assert.deepEqual(
    (await collect(managedVersions, 1)).map(({ imageVersion }) => imageVersion),
    ['1', '0'],
  );
});

test('a client that is throttled waits as long as it is told, and gets its answer', async (context) => {
  const { client } = await start(context, 'aws', ratesOf.aws);
  const imageIdentifier = await newImage(client);
  const { microvmId: microvmIdentifier } = await client.send(new RunMicrovmCommand({ imageIdentifier }));
  const { SuspendMicrovm: rate = 0 } = ratesOf.aws;
  for (let call = 0; call < rate; call += 1) {
    const { $metadata } = await client.send(new SuspendMicrovmCommand({ microvmIdentifier }));
    assert.equal($metadata.attempts, 1);
  }
  const { $metadata } = await client.send(new SuspendMicrovmCommand({ microvmIdentifier }));
  assert.equal($metadata.httpStatusCode, 200);
  assert.ok(($metadata.attempts ?? 0) >= 2, 'it was refused first');
  // Its own first delay would be a tenth of a second at most.
  assert.ok(($metadata.totalRetryDelay ?? 0) > 500, `it waited ${$metadata.totalRetryDelay} ms`);
});

test('a client tries again when an attempt fails inside', async (context) => {
  const { server, client } = await start(context);
  const list = server.services.microvms.list;
  let failures = 1;
  server.services.microvms.list = (...input) => {
    failures -= 1;
    if (failures >= 0) throw new Error('for once');
    return list(...input);
  };
  const { $metadata } = await client.send(new ListMicrovmsCommand({}));
  assert.deepEqual([$metadata.httpStatusCode, $metadata.attempts], [200, 2]);
  assert.equal(server.faults.length, 1);
});
