import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, test } from 'node:test';
import { until } from '../../test/support/until.ts';
import { EventLog } from '../store/event-log.ts';
import { DifferenceCorruptError, SnapshotCorruptError, SnapshotIncompatibleError } from '../vmm/vmm.ts';
import { arn, built, exists, open, type Room, says } from './images-for-test.ts';

function snapshotOf(room: Room, imageVersion: string): string {
  return room.images.snapshotDirectory({ imageArn: arn, imageVersion });
}

function damage(room: Room, version: string): Error {
  return new SnapshotCorruptError(`${snapshotOf(room, version)}/memory is damaged`);
}

/** The watch works in the background, and nobody is told. */
async function becomes(room: Room, version: string, condition: string | null): Promise<void> {
  await until(`${version} is ${condition}`, async () => {
    return (await room.images.getVersion(arn, version)).condition === condition;
  });
}

const damaged =
  'The snapshot of this version is damaged (memory is damaged). Update the image, so that a new version is built, or have the files restored and the server started again.';
const refused = says(
  'ResourceNotFoundException',
  `No active version found for MicroVM image ${arn} and version 2.0: ${damaged}`,
);

describe('versions whose snapshot cannot be launched from', () => {
  test('one found damaged by a launch is marked, told of and refused, and no other is', async (t) => {
    const room = await open(t);
    await built(room, '1.0');
    await built(room, '2.0');
    const version = { imageArn: arn, imageVersion: '2.0' };
    const error = damage(room, '2.0');
    await assert.rejects(
      room.images.withSnapshot(version, () => Promise.reject(error)),
      error,
    );

    const marked = await room.images.getVersion(arn, '2.0');
    assert.deepEqual(
      [marked.state, marked.status, marked.condition, marked.stateReason],
      ['FAILED', 'ACTIVE', 'DAMAGED', damaged],
    );
    assert.deepEqual(await room.images.unusableVersions(), [marked]);
    assert.deepEqual(room.withdrawn, [`${arn} 2.0`]);
    await assert.rejects(room.images.runnableVersion(arn, '2.0'), refused);
    await assert.rejects(room.images.runnableVersion(arn, undefined), refused, 'nor is 1.0 launched instead');
    assert.equal((await room.images.runnableVersion(arn, '1.0')).imageVersion, '1.0');
    const events = await new EventLog(room.store).read(0, 100);
    assert.deepEqual(
      events.slice(-2).map(({ imageVersion, from, to }) => [imageVersion, from, to]),
      [
        ['2.0', 'SUCCESSFUL', 'FAILED'],
        ['2.0', 'WHOLE', 'DAMAGED'],
      ],
    );

    await room.images.setVersionStatus(arn, '2.0', 'INACTIVE');
    assert.equal((await room.images.runnableVersion(arn, undefined)).imageVersion, '1.0');
    await assert.rejects(room.images.setVersionStatus(arn, '2.0', 'ACTIVE'));
  });

  test('its files are kept over restarts, and it is launched from again once they are whole', async (t) => {
    const room = await open(t);
    await built(room);
    const snapshot = snapshotOf(room, '1.0');
    room.damaged.set(snapshot, damage(room, '1.0'));
    room.images.watchSnapshots();
    await becomes(room, '1.0', 'DAMAGED');
    assert.equal(await exists(path.dirname(snapshot)), true);

    const second = await room.restart();
    assert.equal(await exists(path.dirname(snapshot)), true);
    second.images.watchSnapshots();
    await assert.rejects(second.images.runnableVersion(arn, undefined));

    room.damaged.clear();
    const third = await second.restart();
    third.images.watchSnapshots();
    await becomes(third, '1.0', null);
    assert.deepEqual(await third.images.unusableVersions(), []);
    const version = await third.images.runnableVersion(arn, undefined);
    assert.deepEqual([version.state, version.stateReason], ['SUCCESSFUL', null]);
  });

  test('one that another server could restore is built all the same, and says what it lacks', async (t) => {
    const room = await open(t);
    await built(room);
    room.unfit.set(
      snapshotOf(room, '1.0'),
      new SnapshotIncompatibleError('the snapshot was made with another accelerator: kvm (here tcg)'),
    );
    room.images.watchSnapshots();
    await becomes(room, '1.0', 'OUTDATED');
    const version = await room.images.getVersion(arn, '1.0');
    assert.equal(version.state, 'SUCCESSFUL');
    assert.match(version.stateReason ?? '', /another accelerator: kvm \(here tcg\)\. Update the image/);
    await assert.rejects(room.images.runnableVersion(arn, undefined), /accelerator: kvm/);

    room.unfit.clear();
    const next = await room.restart();
    next.images.watchSnapshots();
    await becomes(next, '1.0', null);
  });

  test('what is wrong with one sleeping VM, or with the host, is no fault of its version', async (t) => {
    const room = await open(t);
    await built(room);
    for (const error of [new DifferenceCorruptError('the disk of the VM is damaged'), new Error('EIO')]) {
      await assert.rejects(
        room.images.withSnapshot({ imageArn: arn, imageVersion: '1.0' }, () => Promise.reject(error)),
        error,
      );
    }
    assert.equal((await room.images.runnableVersion(arn, undefined)).condition, null);
    assert.deepEqual(room.withdrawn, []);
  });
});
