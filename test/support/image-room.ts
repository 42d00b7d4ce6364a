import { copyFile, mkdir, readdir, readFile, realpath, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pino } from 'pino';
import { locateAssets } from '../../src/assets.ts';
import type { ArtifactSource } from '../../src/blobs/artifact-source.ts';
import { ArtifactError, parseArtifactUri } from '../../src/blobs/artifact-source.ts';
import type { BuildRoom } from '../../src/images/build-room.ts';
import type { ImageInput, ImageService } from '../../src/images/image-service.ts';
import { createImageService } from '../../src/images/service.ts';
import { managedBaseImageArn } from '../../src/model/arn.ts';
import { systemClock } from '../../src/model/clock.ts';
import type { Image, ImageVersion } from '../../src/model/image.ts';
import { createGuestNetwork } from '../../src/network/guest-network.ts';
import { createNameService } from '../../src/network/names/name-service.ts';
import { openDatabase, type Store } from '../../src/store/database.ts';
import { FileLogStore } from '../../src/telemetry/file-log-store.ts';
import { defaultLogGroup } from '../../src/telemetry/log-store.ts';
import type { Vmm } from '../../src/vmm/vmm.ts';
import { type Context, zip } from './counter-image.ts';
import { processesUsing, removeDataDirectory, temporaryDirectory } from './dormouse-server.ts';
import { endlessBuildRoom } from './endless-build-room.ts';

const realm = { region: 'us-east-1', accountId: '000000000000' };
const pollMs = 100;
const leavingMs = 60_000;
const buildMs = 300_000;

/** Takes the artifact of key `K` from the file `K` of a directory. */
function directoryOfArtifacts(directory: string): ArtifactSource {
  return {
    async download(uri, toFile) {
      const key = parseArtifactUri(uri)?.key ?? '';
      await copyFile(path.join(directory, key), toFile).catch(() => {
        throw new ArtifactError('S3_NO_SUCH_KEY', 'The specified key does not exist.');
      });
    },
  };
}

/** The images room with its real builder, on a data directory of its own and without a server around it. */
export class ImageRoom {
  readonly directory: string;
  readonly images: ImageService;
  readonly #store: Store;
  readonly #logs: FileLogStore;

  private constructor(directory: string, images: ImageService, store: Store, logs: FileLogStore) {
    this.directory = directory;
    this.images = images;
    this.#store = store;
    this.#logs = logs;
  }

  /** Opens the room as a server does that starts on `directory`; on a new one when none is given. */
  static async open(vmm: Vmm, directory?: string, host: BuildRoom = endlessBuildRoom): Promise<ImageRoom> {
    const home = directory ?? (await realpath(await temporaryDirectory()));
    const artifacts = path.join(home, 'artifacts');
    await mkdir(artifacts, { recursive: true });
    const store = await openDatabase(path.join(home, 'store.sqlite'));
    const logs = new FileLogStore(path.join(home, 'logs'));
    const images = createImageService({
      store,
      vmm,
      logs,
      network: createGuestNetwork({
        names: createNameService(),
        allowed: [],
        connectors: { rulesOf: () => [] },
        metadata: { forGuest: () => () => undefined },
        api: (stream) => stream.destroy(),
        clock: systemClock,
      }),
      connectors: { requireActive: () => undefined },
      realm,
      artifacts: directoryOfArtifacts(artifacts),
      profile: 'relaxed',
      assets: locateAssets(),
      directory: path.join(home, 'images'),
      clock: systemClock,
      hasLiveMicrovms: async () => false,
      onWithdrawn: async () => undefined,
      room: host,
      logger: pino({ level: 'silent' }),
    });
    await images.recover();
    return new ImageRoom(home, images, store, logs);
  }

  /** Starts to build an image from a context, or from the bytes of an archive. */
  async create(name: string, context: Context | Buffer, members: Partial<ImageInput> = {}): Promise<Image> {
    const archive = Buffer.isBuffer(context) ? context : await zip(context);
    await writeFile(path.join(this.directory, 'artifacts', name), archive);
    const { image } = await this.images.create({
      name,
      baseImageArn: managedBaseImageArn(realm.region),
      buildRoleArn: 'arn:aws:iam::000000000000:role/build',
      codeArtifact: { uri: `s3://artifacts/${name}` },
      ...members,
    });
    return image;
  }

  /** Waits until a version of an image is built or has failed; the room has no event for it. */
  async built(name: string, number = '1.0'): Promise<ImageVersion> {
    const deadline = performance.now() + buildMs;
    for (;;) {
      const version = await this.images.getVersion(name, number);
      if (version.state === 'SUCCESSFUL' || version.state === 'FAILED') return version;
      if (performance.now() > deadline)
        throw new Error(`version ${number} of ${name} is ${version.state} for ever`);
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }

  /** Lines of an image's build log, by kind of stream. */
  async log(
    name: string,
    kind: 'docker' | 'snapshot' | 'validate',
    version = '1.0',
  ): Promise<readonly string[]> {
    const group = defaultLogGroup(name);
    const stream = (await this.#logs.streams(group)).find((candidate) =>
      candidate.includes(`[${version}]build-${kind}-`),
    );
    if (stream === undefined) return [];
    return (await this.#logs.read(group, stream, {})).map(({ message }) => message);
  }

  /**
   * What is there that should not be once no build is running: processes, mounts, files of builds. A process that
   * was killed may take a moment to be gone.
   */
  async leftovers(): Promise<readonly string[]> {
    const deadline = performance.now() + leavingMs;
    for (;;) {
      const found = await this.#found();
      if (found.length === 0 || performance.now() > deadline) return found;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async #found(): Promise<readonly string[]> {
    const mounts = (await readFile('/proc/self/mounts', 'utf8'))
      .split('\n')
      .filter((line) => line.includes(this.directory));
    const builds = await readdir(path.join(this.directory, 'images', 'builds')).catch(() => []);
    const processes = await processesUsing(this.directory);
    return [...mounts, ...builds, ...processes.map((pid) => `process ${pid}`)];
  }

  async close(): Promise<void> {
    await this.images.close();
    await this.#logs.close();
    await this.#store.destroy();
  }

  async remove(): Promise<void> {
    await this.close();
    await removeDataDirectory(this.directory);
  }
}
