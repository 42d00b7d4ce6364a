import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import type { StateChange } from '../model/event.ts';
import type { Microvm } from '../model/microvm.ts';
import { openDatabase, type Store } from './database.ts';
import { EventLog } from './event-log.ts';
import { MicrovmRepository } from './microvms.ts';

const change: StateChange = {
  subject: 'image',
  microvmId: null,
  imageArn: 'arn:aws:lambda:us-east-1:000000000000:microvm-image:web',
  imageVersion: null,
  buildId: null,
  from: null,
  to: 'CREATING',
  reason: null,
};

const vm: Microvm = {
  microvmId: `microvm-${randomUUID()}`,
  endpointId: randomUUID(),
  state: 'PENDING',
  stateReason: null,
  imageArn: change.imageArn,
  imageVersion: '1.0',
  executionRoleArn: null,
  idlePolicy: null,
  logging: null,
  maximumDurationInSeconds: 60,
  ingressNetworkConnectors: [],
  egressNetworkConnectors: [],
  memoryMib: 128,
  startedAt: 5,
  suspendedAt: null,
  terminatedAt: null,
};

test('an event is stored with its transaction or not at all', async (context) => {
  const store = await openDatabase(':memory:');
  context.after(() => store.destroy());
  const log = new EventLog(store);
  const failure = log.transaction(async (_transaction, emit) => {
    emit(1, change);
    throw new Error('changed its mind');
  });
  await assert.rejects(failure, /changed its mind/);
  assert.deepEqual([await log.newest(), await log.oldest(), await log.read(0, 10)], [0, undefined, []]);
  const appended = log.appended();
  await log.transaction(async (_transaction, emit) => emit(2, change, { ...change, to: 'CREATED' }));
  await appended;
  assert.deepEqual(
    (await log.read(0, 10)).map(({ sequence, time, to }) => [sequence, time, to]),
    [
      [1, 2, 'CREATING'],
      [2, 2, 'CREATED'],
    ],
  );
  assert.deepEqual((await log.read(1, 10)).length, 1);
});

test('readers learn of an event whose commit was answered to nobody', async (context) => {
  const store = await openDatabase(':memory:');
  context.after(() => store.destroy());
  const log = new EventLog(forgetful(store, 2));
  const emitting = (time: number) => log.transaction((_transaction, emit) => emit(time, change));
  await emitting(1);
  assert.equal((await log.read(0, 10)).length, 1);
  const appended = log.appended();
  await assert.rejects(emitting(2), /the answer was lost/);
  // Tried again, it is found to be there.
  await log.transaction(() => undefined);
  await appended;
  assert.deepEqual(
    (await log.read(1, 10)).map(({ time }) => time),
    [2],
  );
});

/** A store that commits its transaction of this number and fails to say so. */
function forgetful(store: Store, number: number): Store {
  let begun = 0;
  const transaction = () => ({
    execute: async <Result>(work: (transaction: Store) => Promise<Result>): Promise<Result> => {
      begun += 1;
      const mute = begun === number;
      const result = await store.transaction().execute(work);
      if (mute) throw new Error('the answer was lost');
      return result;
    },
  });
  return new Proxy(store, {
    get: (_store, name) => {
      if (name === 'transaction') return transaction;
      const value: unknown = Reflect.get(store, name, store);
      return typeof value === 'function' ? value.bind(store) : value;
    },
  });
}

test('every change of a microVM is an event, and what did not happen is none', async (context) => {
  const store = await openDatabase(':memory:');
  context.after(() => store.destroy());
  const log = new EventLog(store);
  const microvms = new MicrovmRepository(store, log);
  await microvms.insert([vm], { runHookPayload: null, forkedFrom: null }, undefined);
  assert.equal(
    await microvms.transition({ ...vm, state: 'RUNNING' }, 'PENDING', { now: 6, lastActivityAt: 6 }),
    true,
  );
  assert.equal(
    await microvms.transition({ ...vm, state: 'RUNNING' }, 'PENDING', { now: 7, lastActivityAt: 7 }),
    false,
  );
  const ended: Microvm = { ...vm, state: 'TERMINATED', stateReason: 'Success.' };
  assert.equal(await microvms.transition(ended, 'RUNNING', { now: 8, lastActivityAt: 8 }), true);
  assert.deepEqual(
    (await log.read(0, 10)).map(({ time, from, to, reason }) => [time, from, to, reason]),
    [
      [5, null, 'PENDING', null],
      [6, 'PENDING', 'RUNNING', null],
      [8, 'RUNNING', 'TERMINATED', 'Success.'],
    ],
  );
});

test('old events go, by number and by age, but never the newest, and no sequence comes twice', async (context) => {
  const store = await openDatabase(':memory:');
  context.after(() => store.destroy());
  const log = new EventLog(store);
  const add = (time: number): Promise<void> => log.transaction((_transaction, emit) => emit(time, change));
  for (let time = 1; time <= 2500; time += 1) await add(time);
  await log.prune({ count: 1200, since: 0 });
  assert.deepEqual([await log.oldest(), await log.newest()], [1301, 2500]);
  await log.prune({ count: 1200, since: 2490 });
  assert.equal(await log.oldest(), 2490);
  await log.prune({ count: 1200, since: 9999 });
  assert.equal(await log.oldest(), 2500);
  await add(1);
  assert.equal(await log.newest(), 2501);
});
