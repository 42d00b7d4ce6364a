import type { Logger } from 'pino';
import type { Clock } from '../model/clock.ts';
import { persistently } from '../model/persistently.ts';
import type { BuildRecord, ImageRepository } from '../store/images.ts';
import { BuildInterrupted } from './build-failure.ts';
import type { ImageBuilder } from './image-builder.ts';

export interface BuildQueueOptions {
  readonly repository: ImageRepository;
  readonly builder: ImageBuilder;
  /** Builds that run at once; further ones wait in the order they came. */
  readonly concurrency: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Runs the builds of image versions and records what becomes of them. */
export class BuildQueue {
  readonly #options: BuildQueueOptions;
  readonly #waiting: BuildRecord[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #tidying: Promise<void> | undefined;

  constructor(options: BuildQueueOptions) {
    this.#options = options;
  }

  /** Builds running and waiting. */
  get size(): number {
    return this.#running.size + this.#waiting.length;
  }

  /** Takes up a build whose version is recorded as PENDING or, after a crash, IN_PROGRESS. */
  add(record: BuildRecord): void {
    this.#waiting.push(record);
    this.#advance();
  }

  /** Interrupts what runs. What is unfinished stays so in the store and is for the next server. */
  async close(): Promise<void> {
    this.#closing.abort(new BuildInterrupted('the server is shutting down'));
    this.#waiting.length = 0;
    await Promise.all([...this.#running, this.#tidying]);
  }

  #advance(): void {
    while (
      this.#running.size < this.#options.concurrency &&
      this.#tidying === undefined &&
      !this.#closing.signal.aborted
    ) {
      const record = this.#waiting.shift();
      if (record === undefined) return;
      const build = this.#run(record);
      this.#running.add(build);
      void build.finally(() => {
        this.#running.delete(build);
        if (this.#running.size === 0 && this.#waiting.length === 0) this.#tidy();
        this.#advance();
      });
    }
  }

  /** Cleaning is possible only while nothing builds; builds that come meanwhile wait. */
  #tidy(): void {
    if (this.#closing.signal.aborted) return;
    this.#tidying = this.#options.builder
      .tidy(this.#closing.signal)
      .catch((error: unknown) => {
        if (!this.#closing.signal.aborted) {
          this.#options.logger.warn({ err: error }, 'cannot clean up after builds');
        }
      })
      .finally(() => {
        this.#tidying = undefined;
        this.#advance();
      });
  }

  async #run(record: BuildRecord): Promise<void> {
    const { repository, builder, clock, logger } = this.#options;
    const context = { imageArn: record.image.imageArn, imageVersion: record.version.imageVersion };
    try {
      await this.#record(context, () => repository.startBuild(record, clock.now()));
      const result = await builder.build(record, this.#closing.signal);
      if (result.type === 'successful') {
        await this.#record(context, () => repository.finishBuild(record, result, clock.now()));
        logger.info(context, 'image version built');
        return;
      }
      const { failure, sizes } = result;
      const details = { ...context, code: failure.code, err: failure.cause };
      logger.warn(details, `image build failed: ${failure.message}`);
      const failed = { type: 'failed', reason: failure.message, sizes } as const;
      await this.#record(context, () => repository.finishBuild(record, failed, clock.now()));
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      logger.error({ ...context, err: error }, 'an image build was given up');
    }
  }

  /** What has come of a build is stored, however long that takes. */
  #record(context: object, store: () => Promise<void>): Promise<void> {
    const { clock, logger } = this.#options;
    return persistently(store, {
      clock,
      signal: this.#closing.signal,
      onFailure: (error) => logger.error({ ...context, err: error }, 'a build cannot be recorded yet'),
    });
  }
}
