import { createHmac } from 'node:crypto';
import { eventType, type StateEvent } from '../model/event.ts';
import { eventMessage } from './event-message.ts';

/** Time the receiver has for its answer. */
const answerTimeoutMs = 10_000;

export interface Delivery {
  readonly webhookId: string;
  readonly url: string;
  readonly secret: string;
  readonly event: StateEvent;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly signal: AbortSignal;
}

/**
 * Sends one event to one receiver. Only a 2xx answer counts; redirects are not followed, so that nobody but the
 * chosen receiver gets to see an event.
 * @returns undefined for success, else what is wrong in a few words
 */
export async function deliver(delivery: Delivery): Promise<string | undefined> {
  const { webhookId, url, secret, event, now, signal } = delivery;
  const body = JSON.stringify(eventMessage(event));
  try {
    const response = await fetch(url, {
      method: 'POST',
      body,
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(answerTimeoutMs)]),
      headers: {
        'content-type': 'application/json',
        'user-agent': 'dormouse-webhook/1',
        'dormouse-webhook-id': webhookId,
        'dormouse-event-id': String(event.sequence),
        'dormouse-event-type': eventType(event),
        'dormouse-signature': signatureOf(body, secret, now),
      },
    });
    await response.body?.cancel();
    return response.ok ? undefined : `the receiver answered ${response.status}`;
  } catch (error) {
    return describe(error);
  }
}

/** `t=<epoch seconds>,v1=<hex>`: HMAC-SHA256 of the time, a dot and the body, so that neither can be changed. */
export function signatureOf(body: string, secret: string, now: number): string {
  const time = Math.floor(now / 1000);
  return `t=${time},v1=${createHmac('sha256', secret).update(`${time}.${body}`).digest('hex')}`;
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `no answer within ${answerTimeoutMs / 1000} seconds`;
  // fetch hides what happened behind `fetch failed`.
  const cause = error.cause instanceof Error ? error.cause : error;
  return (cause as NodeJS.ErrnoException).code ?? cause.message;
}
