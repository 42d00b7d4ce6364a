import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { createSecretSealer } from '../identity/sealed-secret.ts';
import type { Clock } from '../model/clock.ts';
import { openDatabase } from '../store/database.ts';
import { EventLog } from '../store/event-log.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { parseMetrics } from '../telemetry/metrics-for-test.ts';
import { declareEventMetrics } from './event-metrics.ts';
import { Webhooks } from './webhooks.ts';

const imageArn = 'arn:aws:lambda:us-east-1:000000000000:microvm-image:web';

/** Delays pass at once. */
const hasty: Clock = {
  now: () => 1_764_000_000_500,
  schedule(_delayMs, callback) {
    const timer = setImmediate(callback);
    return () => clearImmediate(timer);
  },
};

interface Received {
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  readonly to: string;
}

async function open(context: TestContext) {
  const store = await openDatabase(':memory:');
  const log = new EventLog(store);
  const sealer = createSecretSealer(randomBytes(32));
  const received: Received[] = [];
  let status = 200;
  let waiting: { count: number; reached: () => void } | undefined;
  const receiver = http.createServer(async (request, response) => {
    const body = await text(request);
    received.push({ headers: request.headers, body, to: (JSON.parse(body) as { to: string }).to });
    response.writeHead(status, status === 302 ? { location: 'http://127.0.0.1:1/' } : {}).end();
    if (waiting !== undefined && received.length >= waiting.count) waiting.reached();
  });
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  const options = { store, log, sealer, clock: hasty, logger: pino({ level: 'silent' }) };
  const webhooks = new Webhooks(options);
  context.after(async () => {
    await webhooks.close();
    receiver.closeAllConnections();
    receiver.close();
    await store.destroy();
  });
  return {
    store,
    log,
    options,
    webhooks,
    received,
    url: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`,
    answer: (next: number) => {
      status = next;
    },
    /** Resolves when so many requests have come in all. */
    async arrived(count: number): Promise<void> {
      if (received.length >= count) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting = { count, reached: resolve };
      await promise;
    },
    async emit(...states: readonly string[]): Promise<void> {
      for (const to of states) {
        const change = { microvmId: 'microvm-1', imageArn, imageVersion: '1.0', buildId: null, from: null };
        await log.transaction((_transaction, emit) =>
          emit(1_764_000_000_250, { subject: 'microvm', ...change, to, reason: null }),
        );
      }
    },
  };
}

/** The state of the only webhook, once it is so; its row is written after the answer has gone out. */
async function described(webhooks: Webhooks, wanted: (state: string) => boolean) {
  for (;;) {
    const [webhook] = await webhooks.list();
    assert(webhook !== undefined);
    if (wanted(webhook.state) && webhook.behind >= 0) return webhook;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('delivers what is wanted, in order, with a signature that its secret proves', async (context) => {
  const room = await open(context);
  await room.emit('BEFORE');
  const { secret, webhookId } = await room.webhooks.create(room.url, {
    types: ['microvm.s*', 'microvm.running'],
  });
  await room.emit('PENDING', 'RUNNING', 'SUSPENDING', 'SUSPENDED', 'TERMINATED');
  await room.arrived(3);
  assert.deepEqual(
    room.received.map(({ to }) => to),
    ['RUNNING', 'SUSPENDING', 'SUSPENDED'],
  );
  const [first] = room.received;
  assert(first !== undefined);
  assert.deepEqual(JSON.parse(first.body), {
    sequence: 3,
    time: 1_764_000_000.25,
    type: 'microvm.running',
    microvmId: 'microvm-1',
    imageArn,
    imageVersion: '1.0',
    buildId: null,
    from: null,
    to: 'RUNNING',
    reason: null,
  });
  assert.equal(first.headers['dormouse-webhook-id'], webhookId);
  assert.equal(first.headers['dormouse-event-id'], '3');
  assert.equal(first.headers['dormouse-event-type'], 'microvm.running');
  const mac = createHmac('sha256', secret).update(`1764000000.${first.body}`).digest('hex');
  assert.equal(first.headers['dormouse-signature'], `t=1764000000,v1=${mac}`);
  const rows = JSON.stringify(await room.store.selectFrom('webhooks').selectAll().execute());
  assert.ok(!rows.includes(secret) && !JSON.stringify(await room.webhooks.list()).includes(secret));
});

test('tries again until it arrives, and lets nothing overtake', async (context) => {
  const room = await open(context);
  await room.webhooks.create(room.url, {});
  room.answer(500);
  await room.emit('RUNNING', 'SUSPENDED');
  await room.arrived(3);
  const failing = await described(room.webhooks, (state) => state === 'FAILING');
  assert.equal(failing.lastError, 'the receiver answered 500');
  assert.equal(failing.delivered, 0);
  assert.ok(room.received.every(({ to }) => to === 'RUNNING'));
  room.answer(302);
  await room.arrived(room.received.length + 2);
  room.answer(204);
  const before = room.received.length;
  while (room.received.at(-1)?.to !== 'SUSPENDED') await room.arrived(room.received.length + 1);
  assert.ok(room.received.length >= before + 1);
  const active = await described(room.webhooks, (state) => state === 'ACTIVE');
  assert.equal(active.lastError, null);
});

test('goes on after a restart with the event that had not arrived', async (context) => {
  const room = await open(context);
  await room.webhooks.create(room.url, {});
  await room.emit('RUNNING');
  await room.arrived(1);
  room.answer(503);
  await room.emit('SUSPENDED');
  await room.arrived(2);
  await room.webhooks.close();
  await room.emit('TERMINATED');
  room.answer(200);
  const before = room.received.length;
  const next = new Webhooks(room.options);
  context.after(() => next.close());
  await next.recover();
  await room.arrived(before + 2);
  assert.deepEqual(
    room.received.slice(before).map(({ to }) => to),
    ['SUSPENDED', 'TERMINATED'],
  );
});

test('is given up after many attempts, says so, and goes on when it is told to', async (context) => {
  const room = await open(context);
  const { webhookId } = await room.webhooks.create(room.url, {});
  room.answer(404);
  await room.emit('RUNNING');
  const dead = await described(room.webhooks, (state) => state === 'DEAD');
  assert.deepEqual([dead.attempts, dead.behind, room.received.length], [300, 1, 300]);
  const metrics = new Metrics();
  declareEventMetrics(metrics, { readers: 2 }, room.webhooks);
  const samples = parseMetrics(await metrics.text());
  assert.equal(samples.get('dormouse_webhooks{state="DEAD"}'), 1);
  assert.equal(samples.get('dormouse_webhooks{state="ACTIVE"}'), 0);
  assert.equal(samples.get('dormouse_webhook_events_behind'), 1);
  assert.equal(samples.get('dormouse_webhook_attempts_total{outcome="refused"}'), 300);
  assert.equal(samples.get('dormouse_event_readers'), 2);
  room.answer(200);
  assert.equal((await room.webhooks.resume(webhookId)).state, 'ACTIVE');
  await room.arrived(301);
  await assert.rejects(room.webhooks.resume('webhook-none'), { code: 'ResourceNotFoundException' });
});

test('counts what retention removed before it could be delivered', async (context) => {
  const room = await open(context);
  await room.webhooks.create(room.url, {});
  await room.webhooks.close();
  await room.emit('PENDING', 'RUNNING', 'SUSPENDED', 'TERMINATED');
  await room.log.prune({ count: 1, since: 0 });
  const next = new Webhooks(room.options);
  context.after(() => next.close());
  await next.recover();
  await room.arrived(1);
  assert.equal(room.received[0]?.to, 'TERMINATED');
  assert.equal((await next.list())[0]?.missed, 3);
});

test('sends nothing more once it is deleted, and takes no address that it cannot use', async (context) => {
  const room = await open(context);
  const { webhookId } = await room.webhooks.create(room.url, {});
  await room.webhooks.delete(webhookId);
  await room.emit('RUNNING');
  assert.deepEqual(await room.webhooks.list(), []);
  await assert.rejects(room.webhooks.delete(webhookId), { code: 'ResourceNotFoundException' });
  for (const url of ['nonsense', 'ftp://a/b', 'http://user:secret@a/']) {
    await assert.rejects(room.webhooks.create(url, {}), { code: 'ValidationException' }, url);
  }
  assert.deepEqual(room.received, []);
});
