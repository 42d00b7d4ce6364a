import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { ServiceError } from '../errors.ts';
import {
  arn,
  built,
  exists,
  failed,
  firstPage,
  gone,
  input,
  open,
  says,
  settled,
  successful,
} from './images-for-test.ts';

describe('versions', () => {
  it('can be switched off and on', async (context) => {
    const room = await open(context);
    await built(room);
    await built(room, '2.0');
    assert.equal((await room.images.setVersionStatus(arn, '2.0', 'INACTIVE')).status, 'INACTIVE');
    assert.deepEqual(room.withdrawn, [`${arn} 2.0`]);
    assert.equal((await room.images.get(arn)).latestActiveImageVersion, '1.0');
    await assert.rejects(
      room.images.runnableVersion(arn, '2.0'),
      says('ResourceNotFoundException', `No active version found for MicroVM image ${arn} and version 2.0`),
    );
    await room.images.setVersionStatus(arn, '2.0', 'ACTIVE');
    assert.equal(room.withdrawn.length, 1);
    assert.equal((await room.images.runnableVersion(arn, undefined)).imageVersion, '2.0');
  });

  it('cannot be activated when they failed', async (context) => {
    const room = await open(context);
    await built(room, '1.0', failed);
    await assert.rejects(room.images.setVersionStatus(arn, '1.0', 'ACTIVE'), ServiceError);
  });

  it('are deleted with their files, but not the last one', async (context) => {
    const room = await open(context);
    await built(room);
    await assert.rejects(
      room.images.deleteVersion(arn, '1.0'),
      says('ValidationException', 'This is the last version. Please delete the entire image'),
    );
    await built(room, '2.0');
    room.live.add(`${arn} 1.0`);
    await assert.rejects(room.images.deleteVersion(arn, '1.0'), /running microvms/);
    room.live.clear();
    assert.deepEqual(room.withdrawn, []);
    assert.equal((await room.images.deleteVersion(arn, '1.0')).state, 'DELETING');
    assert.deepEqual(room.withdrawn, [`${arn} 1.0`]);
    await settled(room, 'UPDATING');
    assert.equal((await room.images.get(arn)).state, 'UPDATED');
    await assert.rejects(
      room.images.getVersion(arn, '1.0'),
      says('ResourceNotFoundException', `MicroVMImage not found for MicroVMImage: ${arn}, Version: 1.0`),
    );
    const left = room.paths.version({ imageArn: arn, imageVersion: '1.0' }).directory;
    assert.equal(await exists(left), false);
  });

  it('are listed newest first, page by page', async (context) => {
    const room = await open(context);
    await built(room);
    await built(room, '2.0');
    await built(room, '3.0');
    const first = await room.images.listVersions(arn, { limit: 2, after: undefined });
    const second = await room.images.listVersions(arn, { limit: 2, after: first.next });
    assert.deepEqual(
      [...first.items, ...second.items].map(({ imageVersion }) => imageVersion),
      ['3.0', '2.0', '1.0'],
    );
    assert.equal(second.next, undefined);
  });
});

describe('delete', () => {
  it('is refused while microVMs live', async (context) => {
    const room = await open(context);
    await built(room);
    room.live.add(arn);
    await assert.rejects(
      room.images.delete(arn),
      says('ValidationException', 'Cannot delete microvm image with running microvms.'),
    );
  });

  it('answers at once and frees the name when all is gone', async (context) => {
    const room = await open(context);
    await built(room);
    assert.equal((await room.images.delete(arn)).state, 'DELETING');
    await gone(room);
    await assert.rejects(
      room.images.get(arn),
      says('ResourceNotFoundException', `MicroVMImage not found for MicroVMImageID: ${arn}`),
    );
    await assert.rejects(
      room.images.getVersion(arn, '1.0'),
      says('ResourceNotFoundException', `MicroVMImage not found for MicroVMImage: ${arn}, Version: 1.0`),
    );
    assert.equal(await exists(room.paths.image(arn)), false);
    await built(room);
    assert.equal((await room.images.get(arn)).latestActiveImageVersion, '1.0');
  });
});

describe('identifiers', () => {
  it('may be names where limits are lifted', async (context) => {
    const room = await open(context);
    await built(room);
    assert.equal((await room.images.get('web')).imageArn, arn);
    assert.equal((await room.images.runnableVersion('web', '1.0')).imageArn, arn);
  });

  it('are ARNs for the service', async (context) => {
    const { images } = await open(context, 'aws');
    await assert.rejects(images.get('web'), says('ValidationException', 'Invalid ARN format: web'));
    await assert.rejects(
      images.runnableVersion('web', undefined),
      says('ValidationException', "Malformed ARN - doesn't start with 'arn:'"),
    );
    await assert.rejects(
      images.runnableVersion(arn, undefined),
      says('ResourceNotFoundException', `No active version found for MicroVM image ${arn}`),
    );
  });
});

describe('tags', () => {
  it('are merged and removed', async (context) => {
    const room = await open(context);
    await room.images.create({ ...input, tags: { a: '1', b: '2' } });
    await room.images.tag(arn, { b: '3', c: '4' });
    await room.images.untag(arn, ['a', 'nothing']);
    assert.deepEqual((await room.images.get(arn)).tags, { b: '3', c: '4' });
  });
});

describe('recover', () => {
  it('builds again what an earlier server did not finish', async (context) => {
    const room = await open(context);
    await room.images.create(input);
    await room.builder.running('web 1.0');
    await room.images.close();
    const next = await room.restart();
    assert.equal((await next.images.get(arn)).state, 'CREATING');
    await next.builder.running('web 1.0');
    next.builder.settle('web 1.0', successful);
    await settled(next, 'CREATING');
    assert.equal((await next.images.get(arn)).state, 'CREATED');
  });

  it('removes what belongs to nobody and keeps the rest', async (context) => {
    const room = await open(context);
    await built(room);
    const strangers = [
      room.paths.build('b57f1b4e-0000-4000-8000-000000000000').directory,
      room.paths.version({ imageArn: arn, imageVersion: '7.0' }).directory,
      path.join(room.paths.versions, 'stranger', '1.0'),
    ];
    for (const directory of strangers) await mkdir(directory, { recursive: true });
    await room.images.close();
    const next = await room.restart();
    for (const directory of strangers) assert.equal(await exists(directory), false, directory);
    assert.equal(await exists(next.paths.version({ imageArn: arn, imageVersion: '1.0' }).directory), true);
  });

  it('finishes deletions', async (context) => {
    const room = await open(context);
    await built(room);
    await built(room, '2.0');
    await room.images.close();
    await room.store
      .updateTable('image_versions')
      .set({ state: 'DELETING' })
      .where('version', '=', 1)
      .execute();
    await room.store.updateTable('images').set({ state: 'UPDATING' }).execute();
    const next = await room.restart();
    await settled(next, 'UPDATING');
    assert.equal((await next.images.listVersions(arn, firstPage)).items.length, 1);
    await next.images.close();
    await next.store.updateTable('images').set({ state: 'DELETING' }).execute();
    const last = await next.restart();
    await gone(last);
    assert.equal(await exists(last.paths.image(arn)), false);
  });
});
