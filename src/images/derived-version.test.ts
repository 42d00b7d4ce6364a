import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { arn, built, exists, firstPage, input, open } from './images-for-test.ts';

const first = { imageArn: arn, imageVersion: '1.0' };

describe('a version made of a VM', () => {
  it('is the newest of its image, like the one it came from, with files in its place', async (context) => {
    const room = await open(context);
    await built(room);
    let place = '';
    const { image, version } = await room.images.addDerived(first, undefined, async (snapshot) => {
      place = snapshot;
      await mkdir(snapshot);
      return { memorySnapshotSizeInBytes: 7 };
    });
    assert.deepEqual([version.imageVersion, version.state, version.status], ['2.0', 'SUCCESSFUL', 'ACTIVE']);
    assert.deepEqual([image.state, image.latestActiveImageVersion, image.nextVersion], ['UPDATED', '2.0', 3]);
    assert.deepEqual(await room.images.get(arn), image);
    assert.deepEqual(await room.images.runnableVersion(arn, undefined), version);
    assert.deepEqual(version.configuration, (await room.images.getVersion(arn, '1.0')).configuration);
    assert.equal(room.images.snapshotDirectory(version), place);
    assert.equal(await exists(place), true);
    const { items } = await room.images.listBuilds(arn, '2.0', firstPage);
    assert.deepEqual(
      items.map(({ buildState, snapshotBuild }) => [buildState, snapshotBuild]),
      [['SUCCESSFUL', { memorySnapshotSizeInBytes: 7 }]],
    );
  });

  it('makes an image of another name, which outlives the first', async (context) => {
    const room = await open(context);
    await built(room);
    const make = async (snapshot: string) => {
      await mkdir(snapshot);
      return {};
    };
    const { image, version } = await room.images.addDerived(first, 'prepared', make);
    assert.deepEqual([image.name, image.state, version.imageVersion], ['prepared', 'CREATED', '1.0']);
    const again = await room.images.addDerived(version, 'prepared', make);
    assert.equal(again.version.imageVersion, '2.0');
    const restarted = await room.restart();
    assert.equal(await exists(restarted.images.snapshotDirectory(again.version)), true);
    await room.images.deleteVersion(image.imageArn, '1.0');
    assert.equal((await room.images.runnableVersion(image.imageArn, undefined)).imageVersion, '2.0');
  });

  it('leaves nothing of a failure, and refuses what cannot be', async (context) => {
    const room = await open(context);
    await built(room);
    let place = '';
    const failing = room.images.addDerived(first, undefined, async (snapshot) => {
      place = snapshot;
      await mkdir(snapshot);
      throw new Error('the disk is full');
    });
    await assert.rejects(failing, /the disk is full/);
    assert.equal(await exists(path.dirname(place)), false);
    assert.equal((await room.images.get(arn)).nextVersion, 2);
    const unused = async () => assert.fail('nothing is made');
    const unknown = { ...first, imageVersion: '9.0' };
    await assert.rejects(
      room.images.addDerived(unknown, undefined, unused),
      (error: unknown) => error instanceof Error && /9\.0/.test(error.message),
    );
    const update = await room.images.update(arn, input);
    assert.equal(update.version.imageVersion, '2.0');
    await assert.rejects(room.images.addDerived(first, undefined, unused), /in its current state/);
  });
});
