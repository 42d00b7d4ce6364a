import type { EventFilter } from '../model/event.ts';
import type { Store } from './database.ts';
import type { WebhookRow } from './schema.ts';

/** A webhook and how far it has come. Times in epoch milliseconds. */
export interface WebhookRecord extends WebhookProgress {
  readonly webhookId: string;
  readonly url: string;
  readonly filter: EventFilter;
  readonly sealedSecret: string;
  readonly createdAt: number;
}

export interface WebhookProgress {
  /** Sequence of the last event that was delivered or not wanted. */
  readonly position: number;
  readonly delivered: number;
  /** Events that retention removed before they were looked at. */
  readonly missed: number;
  readonly lastDeliveredAt: number | null;
  /** Failed attempts at the next event. */
  readonly attempts: number;
  readonly failingSince: number | null;
  readonly lastError: string | null;
  /** Since when it was given up. */
  readonly deadAt: number | null;
}

export class WebhookRepository {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async insert(webhook: WebhookRecord): Promise<void> {
    await this.#store
      .insertInto('webhooks')
      .values({
        webhook_id: webhook.webhookId,
        url: webhook.url,
        filter: JSON.stringify(webhook.filter),
        sealed_secret: webhook.sealedSecret,
        created_at: webhook.createdAt,
        ...progressToRow(webhook),
      })
      .execute();
  }

  /** Oldest first. */
  async list(): Promise<readonly WebhookRecord[]> {
    const rows = await this.#store
      .selectFrom('webhooks')
      .selectAll()
      .orderBy('created_at')
      .orderBy('webhook_id')
      .execute();
    return rows.map(fromRow);
  }

  /** Of a webhook that was removed meanwhile, nothing is stored. */
  async setProgress(webhookId: string, progress: WebhookProgress): Promise<void> {
    await this.#store
      .updateTable('webhooks')
      .set(progressToRow(progress))
      .where('webhook_id', '=', webhookId)
      .execute();
  }

  async remove(webhookId: string): Promise<void> {
    await this.#store.deleteFrom('webhooks').where('webhook_id', '=', webhookId).execute();
  }
}

function progressToRow(progress: WebhookProgress) {
  return {
    position: progress.position,
    delivered: progress.delivered,
    missed: progress.missed,
    last_delivered_at: progress.lastDeliveredAt,
    attempts: progress.attempts,
    failing_since: progress.failingSince,
    last_error: progress.lastError,
    dead_at: progress.deadAt,
  };
}

/** The store is ours and checked on the way in, so its JSON is taken as it stands. */
function fromRow(row: WebhookRow): WebhookRecord {
  return {
    webhookId: row.webhook_id,
    url: row.url,
    filter: JSON.parse(row.filter) as EventFilter,
    sealedSecret: row.sealed_secret,
    createdAt: row.created_at,
    position: row.position,
    delivered: row.delivered,
    missed: row.missed,
    lastDeliveredAt: row.last_delivered_at,
    attempts: row.attempts,
    failingSince: row.failing_since,
    lastError: row.last_error,
    deadAt: row.dead_at,
  };
}
