import { notImplemented } from '../../errors.ts';
import type { WebhookDescription, Webhooks } from '../../events/webhooks.ts';
import { type Api, defineOperation } from '../operation.ts';
import { inPath, required, structure, text } from '../shapes/shape.ts';
import { toSeconds, toSecondsOrNull } from '../wire/time.ts';
import { eventFilter } from './stream-events.ts';

const webhookId = inPath(text({ min: 1, max: 64 }));

/** Has events from now on sent to a URL, and tells the secret that signs them, this once. */
export const createWebhook = defineOperation({
  name: 'CreateWebhook',
  method: 'POST',
  path: '/dormouse/v1/webhooks',
  status: 201,
  input: structure({ url: required(text({ min: 1, max: 2048 })), ...eventFilter }),
  async handle({ url, ...filter }, { api }) {
    const { secret, ...webhook } = await webhooks(api).create(url, filter);
    return { ...toWire(webhook), secret };
  },
});

/** All webhooks and how they fare. */
export const listWebhooks = defineOperation({
  name: 'ListWebhooks',
  method: 'GET',
  path: '/dormouse/v1/webhooks',
  status: 200,
  input: structure({}),
  async handle(_input, { api }) {
    return { webhooks: (await webhooks(api).list()).map(toWire) };
  },
});

/** Delivers to a dead webhook again, from the event it was given up at. */
export const resumeWebhook = defineOperation({
  name: 'ResumeWebhook',
  method: 'POST',
  path: '/dormouse/v1/webhooks/{webhookId}/resume',
  status: 200,
  input: structure({ webhookId }),
  async handle(input, { api }) {
    return toWire(await webhooks(api).resume(input.webhookId));
  },
});

/** Nothing more is sent to a webhook. */
export const deleteWebhook = defineOperation({
  name: 'DeleteWebhook',
  method: 'DELETE',
  path: '/dormouse/v1/webhooks/{webhookId}',
  status: 204,
  input: structure({ webhookId }),
  async handle(input, { api }) {
    await webhooks(api).delete(input.webhookId);
    return undefined;
  },
});

/** @throws {ServiceError} NotImplementedException */
function webhooks(api: Api): Webhooks {
  const { webhooks: service } = api.services;
  if (service === undefined) throw notImplemented('Webhooks');
  return service;
}

function toWire(webhook: WebhookDescription): object {
  const { createdAt, lastDeliveredAt, failingSince, deadAt, filter, ...rest } = webhook;
  return {
    ...rest,
    types: filter.types ?? null,
    microvmId: filter.microvmId ?? null,
    imageArn: filter.imageArn ?? null,
    createdAt: toSeconds(createdAt),
    lastDeliveredAt: toSecondsOrNull(lastDeliveredAt),
    failingSince: toSecondsOrNull(failingSince),
    deadAt: toSecondsOrNull(deadAt),
  };
}
