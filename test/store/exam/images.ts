import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Image, ImageVersion } from '../../../src/model/image.ts';
import { type BuildRecord, ImageRepository } from '../../../src/store/images.ts';
import type { OpenStore } from '../exam.test.ts';

const now = 1_796_092_614_449;

function image(name: string, nextVersion = 2): Image {
  return {
    id: `id-${name}`,
    imageArn: `arn:aws:lambda:us-east-1:000000000000:microvm-image:${name}`,
    name,
    state: nextVersion === 2 ? 'CREATING' : 'UPDATING',
    latestActiveImageVersion: null,
    latestFailedImageVersion: null,
    nextVersion,
    tags: { team: 'a' },
    createdAt: now,
    updatedAt: now,
  };
}

function version(imageArn: string, imageVersion: string): ImageVersion {
  return {
    imageArn,
    imageVersion,
    state: 'PENDING',
    status: 'INACTIVE',
    stateReason: null,
    condition: null,
    configuration: {
      baseImageArn: 'arn:aws:lambda:us-east-1:aws:microvm-image:al2023-1',
      baseImageVersion: '1',
      buildRoleArn: 'arn:aws:iam::000000000000:role/build',
      description: null,
      codeArtifact: { uri: 's3://bucket/app.zip' },
      logging: null,
      egressNetworkConnectors: [],
      cpuConfigurations: null,
      minimumMemoryInMiB: 256,
      additionalOsCapabilities: null,
      hooks: null,
      environmentVariables: null,
    },
    createdAt: now,
    updatedAt: now,
  };
}

function record(name: string, number = 1): BuildRecord {
  const { imageArn } = image(name);
  const imageVersion = `${number}.0`;
  return {
    image: image(name, number + 1),
    version: version(imageArn, imageVersion),
    build: {
      imageArn,
      imageVersion,
      buildId: `build-${name}-${number}`,
      buildState: 'PENDING',
      architecture: 'X86_64',
      stateReason: null,
      snapshotBuild: null,
      createdAt: now,
    },
  };
}

const sizes = { memorySnapshotSizeInBytes: 2 ** 33, diskSnapshotSizeInBytes: 2 ** 40 };

export function examineImages(open: OpenStore): void {
  test('a build goes from the queue to an active version', async (t) => {
    const images = new ImageRepository(await open(t));
    const first = record('web');
    await images.addVersion(first, undefined);
    assert.deepEqual(await images.unfinishedBuilds(), [first]);
    await images.startBuild(first, now + 1);
    await images.finishBuild(first, { type: 'successful', sizes }, now + 2);
    const stored = await images.get(first.image.imageArn);
    assert.deepEqual(stored, {
      ...first.image,
      state: 'CREATED',
      latestActiveImageVersion: '1.0',
      updatedAt: now + 2,
    });
    const { items } = await images.listBuilds(first.image.imageArn, '1.0', { limit: 5, after: undefined });
    assert.deepEqual(items, [{ ...first.build, buildState: 'SUCCESSFUL', snapshotBuild: sizes }]);
    assert.deepEqual(await images.unfinishedBuilds(), []);
  });

  test('the newest active version is known when several change at once', async (t) => {
    const images = new ImageRepository(await open(t));
    const { imageArn } = image('web');
    const records = [1, 2, 3, 4].map((number) => record('web', number));
    for (const each of records) {
      await images.addVersion(each, undefined);
      await images.finishBuild(each, { type: 'successful', sizes }, now);
    }
    const off = records
      .slice(2)
      .map(({ version: each }) => images.setVersionStatus(each, 'INACTIVE', now + 1));
    await Promise.all(off);
    assert.equal((await images.get(imageArn))?.latestActiveImageVersion, '2.0');
    assert.equal((await images.newestActive(imageArn))?.imageVersion, '2.0');
  });

  test('two images do not take one name', async (t) => {
    const images = new ImageRepository(await open(t));
    const twin = record('web');
    const attempts = await Promise.allSettled([
      images.addVersion(twin, undefined),
      images.addVersion(
        {
          ...twin,
          image: { ...twin.image, id: 'other', imageArn: 'arn:other' },
          version: version('arn:other', '1.0'),
          build: { ...twin.build, imageArn: 'arn:other', buildId: 'other' },
        },
        undefined,
      ),
    ]);
    assert.deepEqual(attempts.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
    assert.equal(await images.count(), 1);
  });

  test('images are listed in the order of the bytes of their names', async (t) => {
    const images = new ImageRepository(await open(t));
    for (const name of ['web', 'Web', 'a-b', 'a_b', 'ab']) await images.addVersion(record(name), undefined);
    const first = await images.list({ limit: 3, after: undefined }, undefined);
    const second = await images.list({ limit: 3, after: first.next }, undefined);
    const names = [...first.items, ...second.items].map(({ name }) => name);
    assert.deepEqual(names, ['Web', 'a-b', 'a_b', 'ab', 'web']);
  });

  test('an image that is removed takes its versions along and frees its client token', async (t) => {
    const images = new ImageRepository(await open(t));
    const first = record('web');
    const claim = { principal: 'somebody', scope: 'CreateMicrovmImage', token: 't', parameters: {} };
    await images.addVersion(first, claim);
    await images.removeImage(first.image.imageArn, now + 1);
    assert.deepEqual(await images.allVersions(), []);
    await images.addVersion(first, claim);
  });
}
