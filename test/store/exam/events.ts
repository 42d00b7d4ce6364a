import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StateChange } from '../../../src/model/event.ts';
import { EventLog } from '../../../src/store/event-log.ts';
import { WebhookRepository } from '../../../src/store/webhooks.ts';
import type { OpenStore } from '../exam.test.ts';

export const change: StateChange = {
  subject: 'image',
  microvmId: null,
  imageArn: 'arn:aws:lambda:us-east-1:000000000000:microvm-image:web',
  imageVersion: null,
  buildId: null,
  from: null,
  to: 'CREATING',
  reason: null,
};

export function examineEvents(open: OpenStore): void {
  test('a reader sees every event, in order, while many are written at once', async (t) => {
    const store = await open(t);
    // A log of its own has nothing in memory of what the other writes.
    const [writing, reading] = [new EventLog(store), new EventLog(store)];
    const seen: string[] = [];
    let position = 0;
    const read = async (): Promise<void> => {
      for (const event of await reading.read(position, 7)) {
        assert.ok(event.sequence > position);
        position = event.sequence;
        seen.push(event.to);
      }
    };
    const writers = Array.from({ length: 60 }, (_, index) =>
      writing.transaction(async (transaction, emit) => {
        emit(index, { ...change, to: `first ${index}` });
        await transaction
          .insertInto('settings')
          .values({ name: `s${index}`, value: 'v' })
          .execute();
        emit(index, { ...change, to: `second ${index}` });
      }),
    );
    let done = false;
    const all = Promise.all(writers).then(() => {
      done = true;
    });
    while (!done) await read();
    await all;
    for (let before = -1; before !== seen.length; ) {
      before = seen.length;
      await read();
    }
    const expected = writers.flatMap((_, index) => [`first ${index}`, `second ${index}`]);
    assert.deepEqual(seen.toSorted(), expected.toSorted());
    assert.equal(await writing.newest(), position);
  });

  test('an event of a transaction that failed is not stored', async (t) => {
    const log = new EventLog(await open(t));
    const failure = log.transaction((_transaction, emit) => {
      emit(1, change);
      throw new Error('changed its mind');
    });
    await assert.rejects(failure, /changed its mind/);
    assert.deepEqual(await log.read(0, 10), []);
  });

  test('retention keeps the newest event', async (t) => {
    const log = new EventLog(await open(t));
    for (const time of [1, 2, 3]) await log.transaction((_transaction, emit) => emit(time, change));
    const newest = await log.newest();
    await log.prune({ count: 10, since: 100 });
    assert.deepEqual([await log.oldest(), await log.newest()], [newest, newest]);
  });

  test('a webhook keeps how far it has come', async (t) => {
    const webhooks = new WebhookRepository(await open(t));
    const progress = {
      position: 2 ** 40,
      delivered: 2 ** 33,
      missed: 0,
      lastDeliveredAt: null,
      attempts: 0,
      failingSince: null,
      lastError: null,
      deadAt: null,
    };
    const webhook = {
      webhookId: 'w',
      url: 'https://localhost/',
      filter: {},
      sealedSecret: 's',
      createdAt: 1,
    };
    await webhooks.insert({ ...webhook, ...progress });
    await webhooks.setProgress('w', { ...progress, attempts: 3, lastError: 'refused' });
    assert.deepEqual(await webhooks.list(), [{ ...webhook, ...progress, attempts: 3, lastError: 'refused' }]);
    await webhooks.remove('w');
    assert.deepEqual(await webhooks.list(), []);
  });
}
