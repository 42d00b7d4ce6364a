import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  arn,
  built,
  changes,
  failed,
  firstPage,
  gone,
  input,
  open,
  says,
  settled,
  sizes,
  successful,
} from './images-for-test.ts';

const clientToken = { principal: 'somebody', token: 't' };

describe('create', () => {
  it('registers the image and its first version, then builds it', async (context) => {
    const room = await open(context);
    const { image, version } = await room.images.create({ ...input, tags: { team: 'a' } });
    assert.deepEqual(
      [image.imageArn, image.state, image.latestActiveImageVersion, image.tags],
      [arn, 'CREATING', null, { team: 'a' }],
    );
    assert.deepEqual([version.imageVersion, version.state, version.status], ['1.0', 'PENDING', 'INACTIVE']);
    await room.builder.running('web 1.0');
    assert.equal((await room.images.getVersion(arn, '1.0')).state, 'IN_PROGRESS');
    await assert.rejects(room.images.runnableVersion(arn, undefined), /No active version found/);
    room.builder.settle('web 1.0', successful);
    await settled(room, 'CREATING');
    const done = await room.images.get(arn);
    assert.deepEqual([done.state, done.latestActiveImageVersion], ['CREATED', '1.0']);
    const runnable = await room.images.runnableVersion(arn, undefined);
    assert.deepEqual([runnable.imageVersion, runnable.status], ['1.0', 'ACTIVE']);
    const { items } = await room.images.listBuilds(arn, '1', firstPage);
    assert.deepEqual(
      items.map(({ buildState, snapshotBuild, architecture }) => [buildState, snapshotBuild, architecture]),
      [['SUCCESSFUL', sizes, 'X86_64']],
    );
  });

  it('records why a build failed', async (context) => {
    const room = await open(context);
    await built(room, '1.0', failed);
    const image = await room.images.get(arn);
    assert.deepEqual(
      [image.state, image.latestActiveImageVersion, image.latestFailedImageVersion],
      ['CREATE_FAILED', null, '1.0'],
    );
    const version = await room.images.getVersion(arn, '1.0');
    assert.deepEqual(
      [version.state, version.status, version.stateReason],
      ['FAILED', 'INACTIVE', 'The container image build failed.'],
    );
    const { items } = await room.images.listBuilds(arn, '1.0', firstPage);
    assert.equal(items[0]?.stateReason, 'The container image build failed.');
    assert.equal(items[0]?.snapshotBuild, null);
  });

  it('refuses a name in use', async (context) => {
    const room = await open(context);
    await room.images.create(input);
    await assert.rejects(
      room.images.create(input),
      says('ValidationException', "A MicroVM image with the name 'web' already exists in this account"),
    );
  });

  it('answers a repeated client token with the first result', async (context) => {
    const room = await open(context);
    const first = await room.images.create({ ...input, clientToken });
    const second = await room.images.create({ ...input, clientToken });
    assert.equal(second.image.id, first.image.id);
    assert.equal(room.builder.started.length, 1);
    // To anybody else it is a request of their own.
    await assert.rejects(
      room.images.create({ ...input, clientToken: { ...clientToken, principal: 'somebody else' } }),
      says('ValidationException', "A MicroVM image with the name 'web' already exists in this account"),
    );
    await assert.rejects(
      room.images.create({ ...input, name: 'other', clientToken }),
      says('ConflictException', 'The client token was already used with different request parameters.'),
    );
  });

  it('frees the client token with the image', async (context) => {
    const room = await open(context);
    const first = await room.images.create({ ...input, clientToken });
    room.builder.settle('web 1.0', successful);
    await settled(room, 'CREATING');
    await room.images.delete(arn);
    await gone(room);
    const second = await room.images.create({ ...input, clientToken });
    assert.notEqual(second.image.id, first.image.id);
  });

  it('makes builds wait for their turn, or refuses them as the service does', async (context) => {
    const room = await open(context);
    for (const name of ['a', 'b', 'c']) await room.images.create({ ...input, name });
    await room.builder.running('b 1.0');
    assert.deepEqual(
      room.builder.started.map(({ image }) => image.name),
      ['a', 'b'],
    );
    room.builder.settle('a 1.0', failed);
    await room.builder.running('c 1.0');

    const strict = await open(context, 'aws');
    for (const name of ['a', 'b', 'c', 'd', 'e']) await strict.images.create({ ...input, name });
    await assert.rejects(
      strict.images.create(input),
      says(
        'ServiceQuotaExceededException',
        'Account 000000000000 has reached the maximum number of concurrent builds allowed.',
      ),
    );
  });
});

describe('update', () => {
  it('keeps the active version until the new one is built', async (context) => {
    const room = await open(context);
    await built(room);
    const { image, version } = await room.images.update(arn, changes);
    assert.deepEqual(
      [image.state, image.latestActiveImageVersion, version.imageVersion],
      ['UPDATING', '1.0', '2.0'],
    );
    assert.equal((await room.images.runnableVersion(arn, undefined)).imageVersion, '1.0');
    const busy = `Cannot update MicroVM Image in its current state: ${arn}`;
    await assert.rejects(room.images.update(arn, changes), says('ValidationException', busy));
    await assert.rejects(
      room.images.delete(arn),
      says('ValidationException', `Cannot delete MicroVM image in its current state: ${arn}`),
    );
    await assert.rejects(
      room.images.setVersionStatus(arn, '1.0', 'INACTIVE'),
      says('ConflictException', 'MicroVM Image is already in state: UPDATING'),
    );
    room.builder.settle('web 2.0', successful);
    await settled(room, 'UPDATING');
    const done = await room.images.get(arn);
    assert.deepEqual([done.state, done.latestActiveImageVersion], ['UPDATED', '2.0']);
  });

  it('leaves the active version alone when the build fails, and its number unused', async (context) => {
    const room = await open(context);
    await built(room);
    await built(room, '2.0', failed);
    const image = await room.images.get(arn);
    assert.deepEqual(
      [image.state, image.latestActiveImageVersion, image.latestFailedImageVersion],
      ['UPDATE_FAILED', '1.0', '2.0'],
    );
    assert.equal((await room.images.runnableVersion(arn, undefined)).imageVersion, '1.0');
    await built(room, '3.0');
    assert.equal((await room.images.get(arn)).latestActiveImageVersion, '3.0');
  });
});
