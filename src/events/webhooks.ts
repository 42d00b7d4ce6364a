import { randomBytes, randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { invalidWebhookUrl, tooManyWebhooks, webhookNotFound } from '../errors.ts';
import type { SecretSealer } from '../identity/sealed-secret.ts';
import type { Clock } from '../model/clock.ts';
import type { EventFilter } from '../model/event.ts';
import type { Store } from '../store/database.ts';
import { type WebhookRecord, WebhookRepository } from '../store/webhooks.ts';
import type { ReadableEvents } from './event-feed.ts';
import { WebhookRunner } from './webhook-runner.ts';

export type WebhookState = 'ACTIVE' | 'FAILING' | 'DEAD';

/** A webhook as anyone who may list webhooks sees it. */
export interface WebhookDescription extends Omit<WebhookRecord, 'sealedSecret'> {
  readonly state: WebhookState;
  /** Events kept that it has not come to yet, wanted or not. */
  readonly behind: number;
}

export interface WebhooksOptions {
  readonly store: Store;
  readonly log: ReadableEvents;
  readonly sealer: SecretSealer;
  readonly clock: Clock;
  readonly logger: Logger;
}

const mostWebhooks = 100;

/** Receivers of state changes outside. Each gets its events in order and at least once, also across restarts. */
export class Webhooks {
  readonly #options: WebhooksOptions;
  readonly #repository: WebhookRepository;
  readonly #runners = new Map<string, WebhookRunner>();
  readonly #attempts = { taken: 0, refused: 0 };

  constructor(options: WebhooksOptions) {
    this.#options = options;
    this.#repository = new WebhookRepository(options.store);
  }

  /** Events sent since the start of the server. */
  get attempts(): { readonly taken: number; readonly refused: number } {
    return this.#attempts;
  }

  /** Takes up delivery where an earlier server was. */
  async recover(): Promise<void> {
    for (const webhook of await this.#repository.list()) this.#start(webhook);
  }

  /**
   * Events from now on go to `url`.
   * @returns also the secret that signs them, which is told this once
   * @throws {ServiceError} an address that cannot be used, or too many webhooks
   */
  async create(url: string, filter: EventFilter): Promise<WebhookDescription & { readonly secret: string }> {
    checkUrl(url);
    if (this.#runners.size >= mostWebhooks) throw tooManyWebhooks(mostWebhooks);
    const { sealer, clock, log } = this.#options;
    const webhookId = `webhook-${randomUUID()}`;
    const secret = `whsec_${randomBytes(32).toString('base64url')}`;
    const webhook: WebhookRecord = {
      webhookId,
      url,
      filter,
      sealedSecret: sealer.seal(secret, webhookId),
      createdAt: clock.now(),
      position: await log.newest(),
      delivered: 0,
      missed: 0,
      lastDeliveredAt: null,
      attempts: 0,
      failingSince: null,
      lastError: null,
      deadAt: null,
    };
    await this.#repository.insert(webhook);
    this.#start(webhook);
    return { ...describe(webhook, webhook.position), secret };
  }

  async list(): Promise<readonly WebhookDescription[]> {
    const newest = await this.#options.log.newest();
    return Array.from(this.#runners.values(), (runner) => describe(runner.webhook, newest));
  }

  /**
   * Delivers to a dead webhook again, from the event it was given up at.
   * @throws {ServiceError} no such webhook
   */
  async resume(webhookId: string): Promise<WebhookDescription> {
    const runner = this.#runner(webhookId);
    await runner.resume();
    return describe(runner.webhook, await this.#options.log.newest());
  }

  /** @throws {ServiceError} no such webhook */
  async delete(webhookId: string): Promise<void> {
    const runner = this.#runner(webhookId);
    await this.#repository.remove(webhookId);
    this.#runners.delete(webhookId);
    await runner.stop();
  }

  /** What was not delivered is for the next server. */
  async close(): Promise<void> {
    await Promise.all(Array.from(this.#runners.values(), (runner) => runner.stop()));
  }

  #start(webhook: WebhookRecord): void {
    const { log, clock, logger, sealer } = this.#options;
    const secret = (): string => sealer.open(webhook.sealedSecret, webhook.webhookId);
    const repository = this.#repository;
    const onAttempt = (taken: boolean): void => {
      this.#attempts[taken ? 'taken' : 'refused'] += 1;
    };
    const runner = new WebhookRunner(webhook, { log, repository, clock, logger, secret, onAttempt });
    this.#runners.set(webhook.webhookId, runner);
    runner.start();
  }

  #runner(webhookId: string): WebhookRunner {
    const runner = this.#runners.get(webhookId);
    if (runner === undefined) throw webhookNotFound(webhookId);
    return runner;
  }
}

function describe({ sealedSecret, ...webhook }: WebhookRecord, newest: number): WebhookDescription {
  const state = webhook.deadAt !== null ? 'DEAD' : webhook.failingSince !== null ? 'FAILING' : 'ACTIVE';
  return { ...webhook, state, behind: Math.max(0, newest - webhook.position) };
}

function checkUrl(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) throw invalidWebhookUrl('it is not a URL');
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw invalidWebhookUrl('it must start with http:// or https://');
  }
  if (url.username !== '' || url.password !== '') {
    throw invalidWebhookUrl('it must not contain a user or password');
  }
}
