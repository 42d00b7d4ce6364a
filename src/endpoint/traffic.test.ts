import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lru } from './lru.ts';
import { Traffic } from './traffic.ts';

test('requests per second are refilled as time passes, one second ahead at most', () => {
  const time = { now: 0 };
  const traffic = new Traffic(() => time.now);
  const limits = { concurrent: 1000, requestsPerSecond: 10 };
  const burst = (): number => {
    let admitted = 0;
    while (traffic.enter('vm', limits)) admitted += 1;
    return admitted;
  };
  assert.equal(burst(), 10);
  time.now = 350;
  assert.equal(burst(), 3);
  time.now = 60_000;
  assert.equal(burst(), 10);
});

test('a party is forgotten only when it has nothing under way', () => {
  const time = { now: 0 };
  const traffic = new Traffic(() => time.now);
  const limits = { concurrent: 1, requestsPerSecond: Number.POSITIVE_INFINITY };
  const entry = traffic.enter('vm', limits);
  assert.ok(entry);
  time.now = 10_000;
  traffic.sweep();
  assert.ok(!traffic.enter('vm', limits));
  assert.ok(traffic.enter('other', limits));
  entry.leave();
  traffic.sweep();
  assert.ok(traffic.enter('vm', limits));
  assert.equal(traffic.active('vm'), 1);
});

test('the least recently used entry goes first', () => {
  const lru = new Lru<number>(2);
  lru.set('a', 1);
  lru.set('b', 2);
  assert.equal(lru.get('a'), 1);
  lru.set('c', 3);
  assert.deepEqual([lru.get('a'), lru.get('b'), lru.get('c'), lru.size], [1, undefined, 3, 2]);
});
