import assert from 'node:assert/strict';
import { access, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { pino } from 'pino';
import { ServiceError } from '../errors.ts';
import { managedBaseImageArn } from '../model/arn.ts';
import type { ImageState } from '../model/image.ts';
import type { Profile } from '../model/limits.ts';
import { openDatabase, type Store } from '../store/database.ts';
import type { BuildRecord } from '../store/images.ts';
import { containerBuildFailed } from './build-failure.ts';
import type { BuildOutcome, ImageBuilder } from './image-builder.ts';
import { ImagePaths } from './image-paths.ts';
import { Images } from './images.ts';

const realm = { region: 'us-east-1', accountId: '000000000000' };
const arn = 'arn:aws:lambda:us-east-1:000000000000:microvm-image:web';
const firstPage = { limit: 50, after: undefined };
const sizes = { memorySnapshotSizeInBytes: 3, codeInstallSizeInBytes: 2, diskSnapshotSizeInBytes: 1 };
const input = {
  name: 'web',
  baseImageArn: managedBaseImageArn(realm.region),
  buildRoleArn: 'arn:aws:iam::000000000000:role/build',
  codeArtifact: { uri: 's3://bucket/web.zip' },
};
const { name: _name, ...changes } = input;

/** Builds whose outcome the test decides; each leaves a file where its version's files belong. */
class ScriptedBuilder implements ImageBuilder {
  readonly started: BuildRecord[] = [];
  readonly #paths: ImagePaths;
  readonly #outcomes = new Map<string, PromiseWithResolvers<BuildOutcome>>();
  readonly #starts = new Map<string, PromiseWithResolvers<void>>();

  constructor(paths: ImagePaths) {
    this.#paths = paths;
  }

  async prepare(): Promise<void> {}
  async tidy(): Promise<void> {}
  async forget(): Promise<void> {}

  async build(record: BuildRecord, signal: AbortSignal): Promise<BuildOutcome> {
    this.started.push(record);
    const key = `${record.image.name} ${record.version.imageVersion}`;
    this.#start(key).resolve();
    const outcome = this.#outcome(key);
    signal.addEventListener('abort', () => outcome.reject(signal.reason), { once: true });
    const settled = await outcome.promise;
    if (settled.type === 'successful') {
      const { directory } = this.#paths.version(record.version);
      await mkdir(directory, { recursive: true });
      await writeFile(path.join(directory, 'root.ext4'), '');
    }
    return settled;
  }

  async running(key: string): Promise<void> {
    await this.#start(key).promise;
  }

  settle(key: string, outcome: BuildOutcome): void {
    this.#outcome(key).resolve(outcome);
  }

  #outcome(key: string): PromiseWithResolvers<BuildOutcome> {
    const known = this.#outcomes.get(key) ?? Promise.withResolvers<BuildOutcome>();
    this.#outcomes.set(key, known);
    return known;
  }

  #start(key: string): PromiseWithResolvers<void> {
    const known = this.#starts.get(key) ?? Promise.withResolvers<void>();
    this.#starts.set(key, known);
    return known;
  }
}

interface Room {
  readonly images: Images;
  readonly builder: ScriptedBuilder;
  readonly paths: ImagePaths;
  readonly store: Store;
  readonly live: Set<string>;
  /** The room as a new server finds it. */
  restart(): Promise<Room>;
}

async function open(context: TestContext, profile: Profile = 'relaxed'): Promise<Room> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'images-'));
  const store = await openDatabase(path.join(directory, 'store.sqlite'));
  context.after(async () => {
    await store.destroy();
    await rm(directory, { recursive: true, force: true });
  });
  const paths = new ImagePaths(directory);
  const live = new Set<string>();
  let time = 1_700_000_000_000;
  const start = async (): Promise<Room> => {
    const builder = new ScriptedBuilder(paths);
    const images = new Images({
      store,
      paths,
      builder,
      profile,
      realm,
      vmm: {
        adopt: async () => undefined,
        origin: {
          vmm: 'qemu',
          vmmVersion: '10',
          accelerator: 'tcg',
          architecture: 'x86_64',
          machineType: 'q35',
          cpuModel: 'qemu64',
          kernelDigest: '',
          initrdDigest: '',
        },
      },
      clock: {
        now: () => {
          time += 1;
          return time;
        },
        schedule: () => () => undefined,
      },
      hasLiveMicrovms: async (imageArn, version) =>
        live.has(imageArn) || (version !== undefined && live.has(`${imageArn} ${version}`)),
      logger: pino({ level: 'silent' }),
    });
    await images.recover();
    context.after(() => images.close());
    return { images, builder, paths, store, live, restart: start };
  };
  return await start();
}

const successful: BuildOutcome = { type: 'successful', sizes };
const failed: BuildOutcome = { type: 'failed', failure: containerBuildFailed(), sizes: null };

/** Waits until the image has left the state in which something is being done to it. */
async function settled(room: Room, from: ImageState): Promise<void> {
  while ((await room.images.get(arn)).state === from) await new Promise(setImmediate);
}

async function gone(room: Room): Promise<void> {
  while (await room.images.get(arn).then(Boolean, () => false)) await new Promise(setImmediate);
}

async function built(room: Room, version = '1.0', outcome = successful): Promise<void> {
  if (version === '1.0') await room.images.create(input);
  else await room.images.update(arn, changes);
  room.builder.settle(`web ${version}`, outcome);
  await settled(room, version === '1.0' ? 'CREATING' : 'UPDATING');
}

function says(code: string, message: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ServiceError);
    assert.deepEqual([error.code, error.message], [code, message]);
    return true;
  };
}

async function exists(file: string): Promise<boolean> {
  return await access(file).then(
    () => true,
    () => false,
  );
}

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
    const first = await room.images.create({ ...input, clientToken: 't' });
    const second = await room.images.create({ ...input, clientToken: 't' });
    assert.equal(second.image.id, first.image.id);
    assert.equal(room.builder.started.length, 1);
    await assert.rejects(
      room.images.create({ ...input, name: 'other', clientToken: 't' }),
      says('ConflictException', 'The client token was already used with different request parameters.'),
    );
  });

  it('frees the client token with the image', async (context) => {
    const room = await open(context);
    const first = await room.images.create({ ...input, clientToken: 't' });
    room.builder.settle('web 1.0', successful);
    await settled(room, 'CREATING');
    await room.images.delete(arn);
    await gone(room);
    const second = await room.images.create({ ...input, clientToken: 't' });
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

describe('versions', () => {
  it('can be switched off and on', async (context) => {
    const room = await open(context);
    await built(room);
    await built(room, '2.0');
    assert.equal((await room.images.setVersionStatus(arn, '2.0', 'INACTIVE')).status, 'INACTIVE');
    assert.equal((await room.images.get(arn)).latestActiveImageVersion, '1.0');
    await assert.rejects(
      room.images.runnableVersion(arn, '2.0'),
      says('ResourceNotFoundException', `No active version found for MicroVM image ${arn} and version 2.0`),
    );
    await room.images.setVersionStatus(arn, '2.0', 'ACTIVE');
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
    assert.equal((await room.images.deleteVersion(arn, '1.0')).state, 'DELETING');
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
