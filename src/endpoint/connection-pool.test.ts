import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { ConnectionPool, type ConnectionPoolOptions } from './connection-pool.ts';

function connection(): Duplex {
  return new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
}

function poolOf(t: TestContext, options: Partial<ConnectionPoolOptions> = {}): ConnectionPool {
  const pool = new ConnectionPool({ idleMs: 60_000, perKey: 2, total: 3, ...options });
  t.after(() => pool.close());
  return pool;
}

test('the connection used last is taken first, each once', (t) => {
  const pool = poolOf(t);
  const [a, b] = [connection(), connection()];
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
  pool.put('x', connection());
  assert.equal(pool.take('x', -1), undefined);
  assert.equal(pool.size, 1);
});

test('what happens to an idle connection ends it', async (t) => {
  const pool = poolOf(t);
  for (const happen of [
    (idle: Duplex) => idle.push('unasked'),
    (idle: Duplex) => idle.push(null),
    (idle: Duplex) => idle.destroy(),
    (idle: Duplex) => idle.on('error', () => undefined).destroy(new Error('gone')),
  ]) {
    const idle = connection();
    pool.put('x', idle);
    const closed = once(idle, 'close').catch(() => undefined);
    happen(idle);
    await closed;
    assert.equal(pool.size, 0);
    assert.ok(idle.destroyed);
  }
});

test('connections beyond the bounds, or no longer usable, are not kept', (t) => {
  const pool = poolOf(t);
  const kept = [connection(), connection(), connection(), connection()];
  for (const [index, idle] of kept.entries()) pool.put(index < 3 ? 'x' : 'y', idle);
  assert.deepEqual(
    kept.map((idle) => idle.destroyed),
    [false, false, true, false],
  );
  const fourth = connection();
  pool.put('z', fourth);
  assert.ok(fourth.destroyed);
  const buffered = connection();
  buffered.push('left over');
  pool.put('q', buffered);
  assert.ok(buffered.destroyed);
});

test('idle connections are closed after their time, and all of them with the pool', async (t) => {
  const pool = poolOf(t, { idleMs: 50 });
  const idle = connection();
  pool.put('x', idle);
  await once(idle, 'close');
  const last = connection();
  pool.put('x', last);
  pool.close();
  assert.ok(last.destroyed);
});
