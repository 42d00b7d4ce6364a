import assert from 'node:assert/strict';
import { access, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import { ServiceError } from '../errors.ts';
import { managedBaseImageArn } from '../model/arn.ts';
import type { ImageState } from '../model/image.ts';
import type { Profile } from '../model/limits.ts';
import { openDatabase, type Store } from '../store/database.ts';
import type { BuildRecord } from '../store/images.ts';
import { originForTest } from '../vmm/origin-for-test.ts';
import { containerBuildFailed } from './build-failure.ts';
import type { BuildOutcome, ImageBuilder } from './image-builder.ts';
import { ImagePaths } from './image-paths.ts';
import { Images } from './images.ts';

export const realm = { region: 'us-east-1', accountId: '000000000000' };
export const arn = 'arn:aws:lambda:us-east-1:000000000000:microvm-image:web';
export const firstPage = { limit: 50, after: undefined };
export const sizes = { memorySnapshotSizeInBytes: 3, codeInstallSizeInBytes: 2, diskSnapshotSizeInBytes: 1 };
export const input = {
  name: 'web',
  baseImageArn: managedBaseImageArn(realm.region),
  buildRoleArn: 'arn:aws:iam::000000000000:role/build',
  codeArtifact: { uri: 's3://bucket/web.zip' },
};
const { name: _name, ...changesOnly } = input;
export const changes = changesOnly;

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

export interface Room {
  readonly images: Images;
  readonly builder: ScriptedBuilder;
  readonly paths: ImagePaths;
  readonly store: Store;
  readonly live: Set<string>;
  /** What was said to be open to launches no more: ARNs, with their version if only that. */
  readonly withdrawn: string[];
  /** By snapshot: why it does not fit the server, and what is found when all of it is read. */
  readonly unfit: Map<string, Error>;
  readonly damaged: Map<string, Error>;
  /** The room as a new server finds it. */
  restart(): Promise<Room>;
}

export async function open(context: TestContext, profile: Profile = 'relaxed'): Promise<Room> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'images-'));
  const store = await openDatabase(path.join(directory, 'store.sqlite'));
  context.after(async () => {
    await store.destroy();
    await rm(directory, { recursive: true, force: true });
  });
  const paths = new ImagePaths(directory);
  const live = new Set<string>();
  const withdrawn: string[] = [];
  const unfit = new Map<string, Error>();
  const damaged = new Map<string, Error>();
  const fail = (error: Error | undefined): void => {
    if (error !== undefined) throw error;
  };
  let time = 1_700_000_000_000;
  const start = async (): Promise<Room> => {
    const builder = new ScriptedBuilder(paths);
    const images = new Images({
      store,
      paths,
      builder,
      profile,
      realm,
      connectors: { requireActive: () => undefined },
      vmm: {
        adopt: async () => undefined,
        assertUsable: async (snapshot) => fail(unfit.get(snapshot)),
        verify: async (snapshot) => fail(damaged.get(snapshot)),
        origin: originForTest,
      },
      clock: {
        now: () => {
          time += 1;
          return time;
        },
        schedule: () => () => undefined,
      },
      onWithdrawn: async (imageArn, version) => {
        withdrawn.push(version === undefined ? imageArn : `${imageArn} ${version}`);
      },
      hasLiveMicrovms: async (imageArn, version) =>
        live.has(imageArn) || (version !== undefined && live.has(`${imageArn} ${version}`)),
      logger: pino({ level: 'silent' }),
    });
    await images.recover();
    context.after(() => images.close());
    return { images, builder, paths, store, live, withdrawn, unfit, damaged, restart: start };
  };
  return await start();
}

export const successful: BuildOutcome = { type: 'successful', sizes };
export const failed: BuildOutcome = { type: 'failed', failure: containerBuildFailed(), sizes: null };

/** Waits until the image has left the state in which something is being done to it. */
export async function settled(room: Room, from: ImageState): Promise<void> {
  while ((await room.images.get(arn)).state === from) await new Promise(setImmediate);
}

export async function gone(room: Room): Promise<void> {
  while (await room.images.get(arn).then(Boolean, () => false)) await new Promise(setImmediate);
}

export async function built(room: Room, version = '1.0', outcome = successful): Promise<void> {
  if (version === '1.0') await room.images.create(input);
  else await room.images.update(arn, changes);
  room.builder.settle(`web ${version}`, outcome);
  await settled(room, version === '1.0' ? 'CREATING' : 'UPDATING');
}

export function says(code: string, message: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ServiceError);
    assert.deepEqual([error.code, error.message], [code, message]);
    return true;
  };
}

export async function exists(file: string): Promise<boolean> {
  return await access(file).then(
    () => true,
    () => false,
  );
}
