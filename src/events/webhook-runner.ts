import type { Logger } from 'pino';
import type { Clock } from '../model/clock.ts';
import { matchesFilter, type StateEvent } from '../model/event.ts';
import type { WebhookProgress, WebhookRecord, WebhookRepository } from '../store/webhooks.ts';
import { deliver } from './delivery.ts';
import { findGap, orAborted, type ReadableEvents } from './event-feed.ts';

export interface WebhookRunnerOptions {
  readonly log: ReadableEvents;
  readonly repository: WebhookRepository;
  readonly clock: Clock;
  readonly logger: Logger;
  /** @throws when it was sealed with another key */
  readonly secret: () => string;
  /** Told of every attempt: whether the receiver took the event. */
  readonly onAttempt: (taken: boolean) => void;
}

const firstDelayMs = 1000;
const longestDelayMs = 5 * 60 * 1000;
/** With the delays above, about a day. */
const mostAttempts = 300;
const batchSize = 200;
/** A webhook that wants nothing of what happens stores how far it has come this seldom. */
const unwantedBeforeStored = 1000;

/** Delivers to one webhook: one event after another, each until it has arrived, from where an earlier server was. */
export class WebhookRunner {
  readonly #options: WebhookRunnerOptions;
  readonly #leaving = new AbortController();
  #webhook: WebhookRecord;
  #running: Promise<void> = Promise.resolve();
  #resuming: Promise<void> | undefined;

  constructor(webhook: WebhookRecord, options: WebhookRunnerOptions) {
    this.#webhook = webhook;
    this.#options = options;
  }

  get webhook(): WebhookRecord {
    return this.#webhook;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Goes on with the event that a dead webhook was given up at. */
  async resume(): Promise<void> {
    if (this.#webhook.deadAt === null) return;
    this.#resuming ??= this.#revive().finally(() => {
      this.#resuming = undefined;
    });
    await this.#resuming;
  }

  /** Breaks off what is under way. */
  async stop(): Promise<void> {
    this.#leaving.abort();
    await this.#running;
  }

  async #revive(): Promise<void> {
    await this.#running;
    await this.#store({ attempts: 0, failingSince: null, lastError: null, deadAt: null });
    this.start();
  }

  async #run(): Promise<void> {
    const { signal } = this.#leaving;
    while (!signal.aborted && this.#webhook.deadAt === null) {
      try {
        const event = await this.#next(signal);
        if (event !== undefined) await this.#attempt(event, signal);
      } catch (error) {
        // The store failed, or the secret cannot be opened. The webhook keeps its place, so nothing is lost.
        this.#options.logger.error({ webhookId: this.#webhook.webhookId, err: error }, 'a webhook failed');
        await this.#pause(longestDelayMs, signal);
      }
    }
  }

  /** The next event it wants; undefined when it is time to stop. */
  async #next(signal: AbortSignal): Promise<StateEvent | undefined> {
    const { log } = this.#options;
    const gap = await findGap(log, this.#webhook.position);
    if (gap !== undefined) {
      const missed = this.#webhook.missed + Math.max(0, gap - 1 - this.#webhook.position);
      await this.#store({ position: gap - 1, missed, attempts: 0 });
    }
    let { position } = this.#webhook;
    while (!signal.aborted) {
      const appended = log.appended();
      const batch = await log.read(position, batchSize);
      const wanted = batch.find((event) => matchesFilter(this.#webhook.filter, event));
      if (wanted !== undefined) return wanted;
      position = batch.at(-1)?.sequence ?? position;
      if (position - this.#webhook.position >= unwantedBeforeStored) await this.#store({ position });
      if (batch.length < batchSize) await orAborted(appended, signal);
    }
    return undefined;
  }

  async #attempt(event: StateEvent, signal: AbortSignal): Promise<void> {
    const { clock, logger, secret, onAttempt } = this.#options;
    const { webhookId, url, attempts, failingSince, delivered } = this.#webhook;
    const problem = await deliver({ webhookId, url, secret: secret(), event, now: clock.now(), signal });
    if (problem === undefined || !signal.aborted) onAttempt(problem === undefined);
    if (problem === undefined) {
      await this.#store({
        position: event.sequence,
        delivered: delivered + 1,
        lastDeliveredAt: clock.now(),
        attempts: 0,
        failingSince: null,
        lastError: null,
      });
      return;
    }
    if (signal.aborted) return;
    const failed = { attempts: attempts + 1, failingSince: failingSince ?? clock.now(), lastError: problem };
    if (failed.attempts >= mostAttempts) {
      await this.#store({ ...failed, deadAt: clock.now() });
      logger.error({ webhookId, problem, sequence: event.sequence }, 'a webhook is given up');
      return;
    }
    await this.#store(failed);
    await this.#pause(Math.min(longestDelayMs, firstDelayMs * 2 ** attempts), signal);
  }

  async #store(change: Partial<WebhookProgress>): Promise<void> {
    const next = { ...this.#webhook, ...change };
    await this.#options.repository.setProgress(next.webhookId, next);
    this.#webhook = next;
  }

  /** At most a quarter longer or shorter, so that webhooks that failed together do not try together. */
  async #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#options.clock.schedule(delayMs * (0.75 + Math.random() / 2), resolve);
    await orAborted(promise, signal);
    cancel();
  }
}
