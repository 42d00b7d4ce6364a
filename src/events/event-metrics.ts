import type { Metrics } from '../telemetry/metrics.ts';
import type { EventFeed } from './event-feed.ts';
import type { WebhookState, Webhooks } from './webhooks.ts';

const states: readonly WebhookState[] = ['ACTIVE', 'FAILING', 'DEAD'];

/** Who is told of state changes, and how that goes. */
export function declareEventMetrics(
  metrics: Metrics,
  feed: Pick<EventFeed, 'readers'>,
  webhooks: Pick<Webhooks, 'list' | 'attempts'>,
): void {
  metrics.reading('event_readers', 'Readers of the stream of events.', () => feed.readers);
  metrics.reading(
    'webhooks',
    'Webhooks by state; a DEAD one gets nothing until somebody resumes it.',
    async () => {
      const all = await webhooks.list();
      return states.map((state) => ({
        value: all.filter((webhook) => webhook.state === state).length,
        labels: [state],
      }));
    },
    ['state'],
  );
  metrics.reading(
    'webhook_events_behind',
    'Events that the webhook furthest behind has not come to.',
    async () => Math.max(0, ...(await webhooks.list()).map(({ behind }) => behind)),
  );
  metrics.total(
    'webhook_attempts_total',
    'Events sent to webhooks, by whether they were taken.',
    () => [
      { value: webhooks.attempts.taken, labels: ['taken'] },
      { value: webhooks.attempts.refused, labels: ['refused'] },
    ],
    ['outcome'],
  );
}
