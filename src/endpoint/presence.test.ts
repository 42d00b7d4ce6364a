import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Presence } from './presence.ts';
import { Traffic } from './traffic.ts';

const requests = { concurrent: 100, requestsPerSecond: Number.POSITIVE_INFINITY };
const limits = { perMicrovm: { connections: 2 }, perToken: { connections: 1 } };

test('a connection counts for one microVM and one token, and leaves them as it found them', () => {
  const time = { now: 0 };
  const traffic = new Traffic(() => time.now);
  const account = (party: string) => {
    const entered = traffic.enter(party, requests);
    assert.ok(entered);
    entered.leave();
    return entered;
  };
  const [vm, other, token, second] = ['vm', 'other', 'token', 'second'].map(account);
  assert.ok(vm && other && token && second);
  const presence = new Presence();
  assert.ok(presence.countFor(vm, token, limits));
  assert.ok(presence.countFor(vm, token, limits));
  assert.deepEqual([vm.connections, token.connections], [1, 1]);
  assert.ok(!new Presence().countFor(other, token, limits));
  assert.deepEqual([other.connections, token.connections], [0, 1]);
  const neighbour = new Presence();
  assert.ok(neighbour.countFor(vm, second, limits));
  assert.ok(!new Presence().countFor(vm, account('third'), limits));

  time.now = 10_000;
  traffic.sweep();
  assert.equal(account('vm'), vm, 'nobody is forgotten who has a connection');
  presence.end();
  assert.deepEqual([vm.connections, token.connections], [1, 0]);
  assert.ok(presence.countFor(vm, token, limits));
  assert.deepEqual([vm.connections, token.connections], [1, 0], 'a request that is late counts nothing');
  neighbour.end();
  time.now = 20_000;
  traffic.sweep();
  assert.notEqual(account('vm'), vm);
});
