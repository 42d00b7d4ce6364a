import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { ConnectionPool, type ConnectionPoolOptions, type PoolConnection } from './connection-pool.ts';

class FakeConnection extends EventTarget implements PoolConnection {
  onGone: (() => void) | undefined;
  ended = false;

  /** The application has closed it. */
  lose(): void {
    this.onGone?.();
  }

  end(): void {
    this.ended = true;
    this.dispatchEvent(new Event('ended'));
  }
}

function poolOf(
  t: TestContext,
  options: Partial<ConnectionPoolOptions> = {},
): ConnectionPool<FakeConnection> {
  const pool = new ConnectionPool<FakeConnection>({ idleMs: 60_000, perKey: 2, total: 3, ...options });
  t.after(() => pool.close());
  return pool;
}

test('the connection used last is taken first, each once', (t) => {
  const pool = poolOf(t);
  const [a, b] = [new FakeConnection(), new FakeConnection()];
  pool.put('x', a);
  pool.put('x', b);
  assert.equal(pool.take('y', 1000), undefined);
  assert.equal(pool.take('x', 1000), b);
  assert.equal(pool.take('x', 1000), a);
  assert.equal(pool.take('x', 1000), undefined);
  assert.equal(pool.size, 0);
});

test('a connection is not taken after the idle time the taker accepts', (t) => {
  const pool = poolOf(t);
  pool.put('x', new FakeConnection());
  assert.equal(pool.take('x', -1), undefined);
  assert.equal(pool.size, 1);
});

test('a connection that ends while it is idle is forgotten, and only then', (t) => {
  const pool = poolOf(t);
  const idle = new FakeConnection();
  pool.put('x', idle);
  assert.equal(pool.take('x', 1000), idle);
  assert.equal(typeof idle.onGone, 'undefined');
  pool.put('x', idle);
  idle.lose();
  assert.equal(pool.size, 0);
  assert.equal(pool.take('x', 1000), undefined);
});

test('connections beyond the bounds are not kept', (t) => {
  const pool = poolOf(t);
  const given = Array.from({ length: 4 }, () => new FakeConnection());
  for (const [index, idle] of given.entries()) pool.put(index < 3 ? 'x' : 'y', idle);
  assert.deepEqual(
    given.map((idle) => idle.ended),
    [false, false, true, false],
  );
  const fourth = new FakeConnection();
  pool.put('z', fourth);
  assert.ok(fourth.ended);
});

test('idle connections are closed after their time, and all of them with the pool', async (t) => {
  const pool = poolOf(t, { idleMs: 50 });
  const idle = new FakeConnection();
  pool.put('x', idle);
  await once(idle, 'ended');
  assert.equal(pool.size, 0);
  const last = new FakeConnection();
  pool.put('x', last);
  pool.close();
  assert.ok(last.ended);
});
