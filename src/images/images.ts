import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { Logger } from 'pino';
import {
  concurrentBuildQuotaExceeded,
  imageAlreadyInState,
  imageBuildNotFound,
  imageBusyForDelete,
  imageBusyForUpdate,
  imageHasLiveMicrovms,
  imageNameTaken,
  imageNotFound,
  imageQuotaExceeded,
  imageVersionNotFound,
  imageVersionNotUsable,
  imageVersionQuotaExceeded,
  invalidArnFormat,
  lastImageVersion,
  malformedArn,
} from '../errors.ts';
import { imageArn, type Realm } from '../model/arn.ts';
import type { Clock } from '../model/clock.ts';
import {
  busyStates,
  type Image,
  type ImageBuild,
  type ImageConfiguration,
  type ImageVersion,
  type ImageVersionStatus,
  versionLabel,
} from '../model/image.ts';
import { limits as limitTables, type Profile } from '../model/limits.ts';
import { oneAtATime, type Turns } from '../model/one-at-a-time.ts';
import type { Page, PageRequest } from '../model/page.ts';
import { persistently } from '../model/persistently.ts';
import type { KnownConnectors } from '../network/connectors/resolve-connectors.ts';
import { claimOf, findClaim, type TokenClaim } from '../store/client-tokens.ts';
import type { Store } from '../store/database.ts';
import type { EventLog } from '../store/event-log.ts';
import { ImageRepository } from '../store/images.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Vmm } from '../vmm/vmm.ts';
import { BuildQueue } from './build-queue.ts';
import { addDerivedVersion } from './derived-version.ts';
import type { ImageBuilder } from './image-builder.ts';
import type { ImagePaths } from './image-paths.ts';
import type { ImageAndVersion, ImageInput, ImageService } from './image-service.ts';
import { resolveConfiguration } from './input-rules.ts';
import { newVersion } from './new-version.ts';
import { removeAbandonedBuilds, removeForeignVersions } from './recovery.ts';
import { findRunnable } from './runnable-version.ts';
import { hasSnapshot, VersionConditions, type VersionName } from './version-conditions.ts';

export interface ImagesOptions {
  readonly store: Store;
  /** Where changes of state are told; in the store alone when absent. */
  readonly events?: EventLog | undefined;
  readonly vmm: Pick<Vmm, 'origin' | 'adopt' | 'assertUsable' | 'verify'>;
  readonly builder: ImageBuilder;
  readonly paths: ImagePaths;
  readonly profile: Profile;
  readonly realm: Realm;
  readonly connectors: KnownConnectors;
  readonly clock: Clock;
  /** Whether a VM that is not yet TERMINATED uses the image, or the version of it. */
  readonly hasLiveMicrovms: (imageArn: string, imageVersion?: string) => Promise<boolean>;
  /** Told when nobody may launch from the image, or the version of it, any more. */
  readonly onWithdrawn: (imageArn: string, imageVersion?: string) => Promise<void>;
  readonly logger: Logger;
  /** Where figures are kept; nobody sees them when absent. */
  readonly metrics?: Metrics | undefined;
}

const bareName = /^[a-zA-Z0-9-_]{1,64}$/;

/** The images room over whatever makes its versions. */
export class Images implements ImageService {
  readonly #options: ImagesOptions;
  readonly #repository: ImageRepository;
  readonly #queue: BuildQueue;
  readonly #conditions: VersionConditions;
  readonly #deletions = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  /** Calls that check and then change run one after the other. */
  readonly #exclusively: Turns = oneAtATime();

  constructor(options: ImagesOptions) {
    this.#options = options;
    this.#repository = new ImageRepository(options.store, options.events);
    this.#conditions = new VersionConditions({ ...options, repository: this.#repository });
    this.#queue = new BuildQueue({
      repository: this.#repository,
      builder: options.builder,
      concurrency: limitTables[options.profile].concurrentBuilds,
      clock: options.clock,
      logger: options.logger,
    });
  }

  async create(input: Parameters<ImageService['create']>[0]): Promise<ImageAndVersion> {
    return await this.#exclusively(async () => {
      const claim = claimOf('CreateMicrovmImage', input);
      const earlier = await this.#replay(claim);
      if (earlier !== undefined) return earlier;
      const configuration = this.#resolve(input);
      const arn = imageArn(this.#options.realm, input.name);
      if ((await this.#repository.get(arn)) !== undefined) throw imageNameTaken(input.name);
      const { accountId } = this.#options.realm;
      if ((await this.#repository.count()) >= this.#limits.images) throw imageQuotaExceeded(accountId);
      this.#checkBuildQuota();
      const now = this.#options.clock.now();
      const image: Image = {
        id: randomUUID(),
        imageArn: arn,
        name: input.name,
        state: 'CREATING',
        latestActiveImageVersion: null,
        latestFailedImageVersion: null,
        nextVersion: 2,
        tags: input.tags ?? {},
        createdAt: now,
        updatedAt: now,
      };
      return await this.#addVersion(image, versionLabel(1), configuration, claim);
    });
  }

  async update(identifier: string, input: ImageInput): Promise<ImageAndVersion> {
    return await this.#exclusively(async () => {
      const arn = this.#toArn(identifier);
      const claim = claimOf('UpdateMicrovmImage', input, { imageIdentifier: arn });
      const earlier = await this.#replay(claim);
      if (earlier !== undefined) return earlier;
      const configuration = this.#resolve(input);
      const image = await this.#image(arn);
      if (busyStates.includes(image.state)) throw imageBusyForUpdate(arn);
      const versions = await this.#repository.allVersions(arn);
      if (versions.length >= this.#limits.versionsPerImage) throw imageVersionQuotaExceeded(arn);
      this.#checkBuildQuota();
      const updated: Image = {
        ...image,
        state: 'UPDATING',
        nextVersion: image.nextVersion + 1,
        updatedAt: this.#options.clock.now(),
      };
      return await this.#addVersion(updated, versionLabel(image.nextVersion), configuration, claim);
    });
  }

  async addDerived(...derivation: Parameters<ImageService['addDerived']>): Promise<ImageAndVersion> {
    const tools = { ...this.#options, repository: this.#repository };
    return await this.#exclusively(() => addDerivedVersion(tools, ...derivation));
  }

  async get(identifier: string): Promise<Image> {
    return await this.#image(this.#toArn(identifier));
  }

  async list(page: PageRequest, nameFilter: string | undefined): Promise<Page<Image>> {
    return await this.#repository.list(page, nameFilter);
  }

  async delete(identifier: string): Promise<Image> {
    return await this.#exclusively(async () => {
      const image = await this.get(identifier);
      if (image.state === 'DELETING') return image;
      if (busyStates.includes(image.state)) throw imageBusyForDelete(image.imageArn);
      if (await this.#options.hasLiveMicrovms(image.imageArn)) throw imageHasLiveMicrovms();
      await this.#repository.setImageState(image.imageArn, 'DELETING', this.#options.clock.now());
      await this.#options.onWithdrawn(image.imageArn);
      this.#inBackground(() => this.#removeImage(image));
      return { ...image, state: 'DELETING' };
    });
  }

  async getVersion(identifier: string, version: string): Promise<ImageVersion> {
    // Whether the image is there does not matter to the answer (spec section 1.5).
    const imageArn = this.#toArn(identifier);
    const found = await this.#repository.getVersion(imageArn, version);
    if (found === undefined) throw imageVersionNotFound(imageArn, version);
    return found;
  }

  async listVersions(identifier: string, page: PageRequest): Promise<Page<ImageVersion>> {
    const image = await this.get(identifier);
    return await this.#repository.listVersions(image.imageArn, page);
  }

  async unusableVersions(): Promise<readonly ImageVersion[]> {
    return (await this.#repository.allVersions()).filter(({ condition }) => condition !== null);
  }

  async setVersionStatus(
    identifier: string,
    version: string,
    status: ImageVersionStatus,
  ): Promise<ImageVersion> {
    return await this.#exclusively(async () => {
      const found = await this.#idleVersion(identifier, version);
      if (status === 'ACTIVE' && found.state !== 'SUCCESSFUL') {
        throw imageVersionNotUsable(found.imageVersion, found.state);
      }
      if (found.status !== status) {
        await this.#repository.setVersionStatus(found, status, this.#options.clock.now());
        if (status === 'INACTIVE') await this.#options.onWithdrawn(found.imageArn, found.imageVersion);
      }
      return await this.getVersion(identifier, version);
    });
  }

  async deleteVersion(identifier: string, version: string): Promise<ImageVersion> {
    return await this.#exclusively(async () => {
      const found = await this.#idleVersion(identifier, version);
      const versions = await this.#repository.allVersions(found.imageArn);
      if (versions.length === 1) throw lastImageVersion();
      if (await this.#options.hasLiveMicrovms(found.imageArn, found.imageVersion)) {
        throw imageHasLiveMicrovms();
      }
      await this.#repository.startVersionDeletion(found, this.#options.clock.now());
      await this.#options.onWithdrawn(found.imageArn, found.imageVersion);
      this.#inBackground(() => this.#removeVersion(found));
      return { ...found, state: 'DELETING' };
    });
  }

  async listBuilds(identifier: string, version: string, page: PageRequest): Promise<Page<ImageBuild>> {
    const found = await this.getVersion(identifier, version);
    return await this.#repository.listBuilds(found.imageArn, found.imageVersion, page);
  }

  async getBuild(identifier: string, version: string, buildId: string): Promise<ImageBuild> {
    const found = await this.getVersion(identifier, version);
    const build = await this.#repository.getBuild(found.imageArn, found.imageVersion, buildId);
    if (build === undefined) throw imageBuildNotFound(found.imageArn, found.imageVersion, buildId);
    return build;
  }

  async tag(arn: string, tags: Readonly<Record<string, string>>): Promise<void> {
    await this.#exclusively(async () => {
      const image = await this.get(arn);
      await this.#repository.setTags(image.imageArn, { ...image.tags, ...tags });
    });
  }

  async untag(arn: string, keys: readonly string[]): Promise<void> {
    await this.#exclusively(async () => {
      const image = await this.get(arn);
      const left = Object.entries(image.tags).filter(([key]) => !keys.includes(key));
      await this.#repository.setTags(image.imageArn, Object.fromEntries(left));
    });
  }

  async runnableVersion(identifier: string, version: string | undefined): Promise<ImageVersion> {
    if (!identifier.startsWith('arn:') && !this.#acceptsName(identifier)) throw malformedArn();
    return await findRunnable(this.#repository, this.#toArn(identifier), version);
  }

  watchSnapshots(): void {
    this.#conditions.start();
  }

  async withSnapshot<Result>(version: VersionName, use: (snapshot: string) => Promise<Result>) {
    return await this.#conditions.watch(version, use);
  }

  snapshotDirectory(version: Pick<ImageVersion, 'imageArn' | 'imageVersion'>): string {
    return this.#options.paths.version(version).snapshot;
  }

  async recover(): Promise<void> {
    await this.#options.builder.prepare();
    await removeAbandonedBuilds(this.#options.paths, this.#options.vmm);
    await this.#options.builder.tidy(new AbortController().signal);
    const versions = await this.#repository.allVersions();
    const deleted = await this.#repository.listByState(['DELETING']);
    const going = new Set(deleted.map((image) => image.imageArn));
    const keep = versions.filter((version) => hasSnapshot(version) && !going.has(version.imageArn));
    await removeForeignVersions(this.#options.paths, keep);
    for (const image of deleted) this.#inBackground(() => this.#removeImage(image));
    for (const version of versions) {
      if (version.state === 'DELETING' && !going.has(version.imageArn)) {
        this.#inBackground(() => this.#removeVersion(version));
      }
    }
    for (const record of await this.#repository.unfinishedBuilds()) this.#queue.add(record);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#conditions.close();
    await this.#queue.close();
    await Promise.all(this.#deletions);
  }

  get #limits(): (typeof limitTables)[Profile] {
    return limitTables[this.#options.profile];
  }

  #resolve(input: ImageInput): ImageConfiguration {
    const { realm, connectors } = this.#options;
    return resolveConfiguration(input, this.#limits, realm.region, connectors);
  }

  #checkBuildQuota(): void {
    // Only the service's own limit is an error; lifted limits make a build wait for its turn instead.
    if (this.#options.profile === 'aws' && this.#queue.size >= this.#limits.concurrentBuilds) {
      throw concurrentBuildQuotaExceeded(this.#options.realm.accountId);
    }
  }

  async #addVersion(
    image: Image,
    imageVersion: string,
    configuration: ImageConfiguration,
    claim: TokenClaim | undefined,
  ): Promise<ImageAndVersion> {
    const architecture = this.#options.vmm.origin.architecture === 'arm64' ? 'ARM_64' : 'X86_64';
    const record = newVersion(image, imageVersion, configuration, architecture);
    await this.#repository.addVersion(record, claim);
    this.#queue.add(record);
    return { image, version: record.version };
  }

  async #replay(claim: TokenClaim | undefined): Promise<ImageAndVersion | undefined> {
    if (claim === undefined) return undefined;
    const resource = await findClaim(this.#options.store, claim);
    if (resource === undefined) return undefined;
    const version = await this.#repository.findByResource(resource);
    if (version === undefined) return undefined;
    return { image: await this.#image(version.imageArn), version };
  }

  async #image(arn: string): Promise<Image> {
    const image = await this.#repository.get(arn);
    if (image === undefined) throw imageNotFound(arn);
    return image;
  }

  /** A version of an image to which nothing is being done. */
  async #idleVersion(identifier: string, version: string): Promise<ImageVersion> {
    const image = await this.get(identifier);
    const found = await this.getVersion(identifier, version);
    if (busyStates.includes(image.state)) throw imageAlreadyInState(image.state);
    return found;
  }

  #acceptsName(identifier: string): boolean {
    return this.#options.profile === 'relaxed' && bareName.test(identifier);
  }

  #toArn(identifier: string): string {
    if (identifier.startsWith('arn:')) return identifier;
    if (!this.#acceptsName(identifier)) throw invalidArnFormat(identifier);
    return imageArn(this.#options.realm, identifier);
  }

  async #removeImage(image: Image): Promise<void> {
    await rm(this.#options.paths.image(image.imageArn), { recursive: true, force: true });
    await this.#options.builder.forget(image);
    await this.#repository.removeImage(image.imageArn, this.#options.clock.now());
  }

  async #removeVersion(version: ImageVersion): Promise<void> {
    await rm(this.#options.paths.version(version).directory, { recursive: true, force: true });
    await this.#repository.removeVersion(version, this.#options.clock.now());
  }

  /** What the server does not live to finish is taken up again by the next {@link recover}. */
  #inBackground(work: () => Promise<void>): void {
    const { clock, logger } = this.#options;
    const running = persistently(work, {
      clock,
      signal: this.#closing.signal,
      onFailure: (error) => logger.error({ err: error }, 'cannot finish a deletion yet'),
    }).catch(() => undefined);
    this.#deletions.add(running);
    void running.finally(() => this.#deletions.delete(running));
  }
}
