import type { Logger } from 'pino';
import type { Clock } from '../model/clock.ts';
import type { ImageVersion, VersionCondition } from '../model/image.ts';
import type { ImageRepository } from '../store/images.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { repeatedly } from '../telemetry/repeatedly.ts';
import {
  DifferenceCorruptError,
  SnapshotCorruptError,
  SnapshotIncompatibleError,
  type Vmm,
} from '../vmm/vmm.ts';
import type { ImagePaths } from './image-paths.ts';

export interface VersionConditionsOptions {
  readonly repository: ImageRepository;
  readonly paths: ImagePaths;
  readonly vmm: Pick<Vmm, 'assertUsable' | 'verify'>;
  /** Told when nobody may launch from the version any more. */
  readonly onWithdrawn: (imageArn: string, imageVersion?: string) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics?: Metrics | undefined;
}

export type VersionName = Pick<ImageVersion, 'imageArn' | 'imageVersion'>;

const dayMs = 24 * 3600 * 1000;

/**
 * Knows of each version whether its snapshot can be launched from, and marks those that cannot, durably. Nothing is
 * removed for it: what to do about a damaged snapshot only a person can say.
 */
export class VersionConditions {
  readonly #options: VersionConditionsOptions;
  #stop: (() => Promise<void>) | undefined;
  #closing = false;

  constructor(options: VersionConditionsOptions) {
    this.#options = options;
    options.metrics?.reading(
      'image_versions',
      'Versions that have been built, by the condition of their snapshot.',
      () => this.#counts(),
      ['condition'],
    );
  }

  /** Uses a version's snapshot, and marks the version where that turns out to be damaged. */
  async watch<Result>(version: VersionName, use: (snapshot: string) => Promise<Result>): Promise<Result> {
    try {
      return await use(this.#snapshotOf(version));
    } catch (error) {
      // A version that cannot be marked is found damaged again; what matters now is why it cannot be used.
      await this.#note(version, error).catch((failure: unknown) => this.#report(version, failure));
      throw error;
    }
  }

  /**
   * Looks at all versions now and once a day: first whether they fit this server, which takes milliseconds each, then
   * one by one at all of their content, which no launch reads again that is not the first.
   */
  start(): void {
    const { clock, logger } = this.#options;
    this.#stop = repeatedly(() => this.#lookAtAll(), {
      intervalMs: dayMs,
      clock,
      onError: (error) => logger.error({ err: error }, 'snapshots could not be looked at'),
    });
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#stop?.();
  }

  async #lookAtAll(): Promise<void> {
    const { repository, vmm } = this.#options;
    const versions = (await repository.allVersions()).filter(hasSnapshot);
    const fitting: ImageVersion[] = [];
    for (const version of versions) {
      if (await this.#look(version, (snapshot) => vmm.assertUsable(snapshot))) fitting.push(version);
    }
    for (const version of fitting) {
      if (this.#closing) return;
      if (await this.#look(version, (snapshot) => vmm.verify(snapshot))) await this.#settle(version);
    }
  }

  /** Whether `look` finds nothing wrong. */
  async #look(version: ImageVersion, look: (snapshot: string) => Promise<void>): Promise<boolean> {
    try {
      await look(this.#snapshotOf(version));
      return true;
    } catch (error) {
      // It may have been deleted meanwhile.
      if (await this.#current(version)) await this.#note(version, error);
      return false;
    }
  }

  /** What was marked once and is as it should be again can be launched from again. */
  async #settle(version: ImageVersion): Promise<void> {
    if ((await this.#current(version))?.condition === null) return;
    await this.#options.repository.setCondition(version, null, null, this.#options.clock.now());
    this.#options.logger.info(nameOf(version), 'the snapshot of a version is whole again');
  }

  async #note(version: VersionName, error: unknown): Promise<void> {
    const found = conditionFrom(error, this.#snapshotOf(version));
    if (found === undefined) return this.#report(version, error);
    const before = await this.#current(version);
    if (
      before === undefined ||
      (before.condition === found.condition && before.stateReason === found.reason)
    ) {
      return;
    }
    const { repository, clock, logger, onWithdrawn } = this.#options;
    await repository.setCondition(version, found.condition, found.reason, clock.now());
    logger.error({ ...nameOf(version), err: error }, 'a version cannot be launched from');
    await onWithdrawn(version.imageArn, version.imageVersion);
  }

  async #current(version: VersionName): Promise<ImageVersion | undefined> {
    const found = await this.#options.repository.getVersion(version.imageArn, version.imageVersion);
    return found !== undefined && hasSnapshot(found) ? found : undefined;
  }

  #report(version: VersionName, error: unknown): void {
    this.#options.logger.warn({ ...nameOf(version), err: error }, 'a snapshot could not be looked at');
  }

  #snapshotOf(version: VersionName): string {
    return this.#options.paths.version(version).snapshot;
  }

  async #counts() {
    const conditions = ['WHOLE', 'DAMAGED', 'OUTDATED'] as const;
    const versions = (await this.#options.repository.allVersions()).filter(hasSnapshot);
    return conditions.map((label) => ({
      value: versions.filter(({ condition }) => (condition ?? 'WHOLE') === label).length,
      labels: [label],
    }));
  }
}

/** Whether a version was built, whatever has become of its snapshot since. */
export function hasSnapshot({ state, condition }: ImageVersion): boolean {
  return state === 'SUCCESSFUL' || (state === 'FAILED' && condition === 'DAMAGED');
}

/** What an error says of the snapshot that was used; undefined where it says nothing of it. */
export function conditionFrom(
  error: unknown,
  snapshot: string,
): { readonly condition: VersionCondition; readonly reason: string } | undefined {
  if (error instanceof DifferenceCorruptError) return undefined;
  if (error instanceof SnapshotCorruptError) {
    // Where the files are on the server is no business of a client.
    const what = error.message.replaceAll(`${snapshot}/`, '').replaceAll(snapshot, 'it');
    const reason = `The snapshot of this version is damaged (${what}). Update the image, so that a new version is built, or have the files restored and the server started again.`;
    return { condition: 'DAMAGED', reason };
  }
  if (error instanceof SnapshotIncompatibleError) {
    const reason = `This server cannot restore the snapshot of this version: ${error.message}. Update the image, so that a new version is built here.`;
    return { condition: 'OUTDATED', reason };
  }
  return undefined;
}

function nameOf({ imageArn, imageVersion }: VersionName): VersionName {
  return { imageArn, imageVersion };
}
