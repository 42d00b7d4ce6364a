import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type Duplex, duplexPair } from 'node:stream';
import { test } from 'node:test';
import { fakeMicrovm } from '../../../test/endpoint/fixture.ts';
import { ManualClock } from '../../microvms/manual-clock-for-test.ts';
import { endpointLimits } from '../options.ts';
import { ShapedStream } from './shaped-stream.ts';
import { shapeDialer } from './shaping.ts';
import { TokenBucket } from './token-bucket.ts';

/** Takes piece after piece; returns what has passed so far. */
function user(bucket: TokenBucket, piece: number): { passed: number } {
  const state = { passed: 0 };
  const more = (): void => {
    state.passed += piece;
    // Not from within: a bucket that is full would be drained in one go by its first user.
    queueMicrotask(() => bucket.take(piece, more));
  };
  bucket.take(piece, more);
  return state;
}

/** Lets time pass in steps, and what waits for it happen. */
async function pass(clock: ManualClock, ms: number): Promise<void> {
  const end = clock.time + ms;
  while (clock.time < end) {
    clock.advanceTo(Math.min(end, clock.time + 1));
    for (let turn = 0; turn < 4; turn += 1) await Promise.resolve();
  }
}

test('bytes pass at the rate, after a burst', async () => {
  const clock = new ManualClock();
  const one = user(new TokenBucket(1_000_000, 100_000, clock), 10_000);
  await pass(clock, 10_000);
  assert.ok(one.passed >= 9_900_000 && one.passed <= 10_200_000, String(one.passed));
});

test('users share evenly, however many ask first', async () => {
  const clock = new ManualClock();
  const bucket = new TokenBucket(1_000_000, 100_000, clock);
  const users = Array.from({ length: 5 }, () => user(bucket, 16_384));
  await pass(clock, 5000);
  const shares = users.map(({ passed }) => passed);
  assert.ok(Math.max(...shares) - Math.min(...shares) <= 2 * 16_384, shares.join());
  assert.ok(shares.reduce((sum, share) => sum + share) <= 5_200_000);
});

test('a pause earns a burst and no more', () => {
  const clock = new ManualClock();
  const bucket = new TokenBucket(1000, 100, clock);
  bucket.take(100, () => undefined);
  assert.equal(bucket.full, false);
  clock.advanceTo(1_000_000);
  assert.ok(bucket.full);
  let passed = 0;
  for (let index = 0; index < 10; index += 1) {
    bucket.take(100, () => {
      passed += 1;
    });
  }
  assert.equal(passed, 1);
  for (let step = 0; step < 200; step += 1) clock.advanceTo(clock.time + 10);
  assert.equal(passed, 10);
  clock.advanceTo(2_000_000);
  assert.ok(bucket.full);
  // A clock that is set back takes nothing away.
  clock.time = 0;
  assert.ok(bucket.full);
});

test('a shaped connection loses nothing, ends as the other does, and is no faster than its bucket', async () => {
  const clock = new ManualClock();
  const [near, far] = duplexPair();
  const shaped = new ShapedStream(near, new TokenBucket(1_000_000, 50_000, clock));
  const sent = Buffer.alloc(300_000, 'dormouse');
  let received = 0;
  far.on('data', (chunk: Buffer) => {
    received += chunk.length;
    far.write(chunk);
  });
  far.once('end', () => far.end());
  shaped.end(sent);
  const chunks: Buffer[] = [];
  shaped.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended = once(shaped, 'end');
  let over = false;
  void ended.then(() => {
    over = true;
  });
  while (!over) {
    clock.advanceTo(clock.time + 1);
    await new Promise(setImmediate);
    assert.ok(received <= 50_000 + clock.time * 1000 + 16_384);
  }
  assert.ok(Buffer.concat(chunks).equals(sent));
  // Both directions come out of the one bucket.
  assert.ok(clock.time >= 500, String(clock.time));
});

test('the end of either side destroys the other', async () => {
  const clock = new ManualClock();
  const [near, far] = duplexPair();
  far.resume();
  const shaped = new ShapedStream(near, new TokenBucket(1, 1, clock));
  shaped.on('error', () => undefined).write('more than may pass');
  shaped.write('now');
  near.destroy();
  await once(shaped, 'close');

  const [second] = duplexPair();
  second.on('error', () => undefined);
  const other = new ShapedStream(second, new TokenBucket(1, 1, clock));
  other.destroy();
  await once(second, 'close');
});

test('the profiles set the rate by the size of a microVM', async () => {
  const { aws, relaxed } = endpointLimits;
  const rates = [512, 1024, 2048, 4096, 8192].map((memoryMib) => [
    (memoryMib / 1024) * aws.bytesPerSecondPerGib,
    aws.perMicrovm(fakeMicrovm({ memoryMib })).connections,
  ]);
  assert.deepEqual(rates, [
    [1e6, 8],
    [2e6, 16],
    [4e6, 32],
    [8e6, 64],
    [16e6, 128],
  ]);
  assert.equal(relaxed.bytesPerSecondPerGib, Number.POSITIVE_INFINITY);
});

test('a microVM is forgotten when it owes nothing, and no sooner', async () => {
  const clock = new ManualClock();
  const vm = fakeMicrovm();
  const dialer = {
    connect: async () => duplexPair()[0],
    waiting: () => 0,
    associate: () => Promise.reject(new Error('not used')),
    join: () => Promise.reject(new Error('not used')),
  };
  const shaped = shapeDialer(dialer, () => 1000, clock);
  const connect = (): Promise<Duplex> => shaped.connect(vm, 8080, new AbortController().signal);
  const first = await connect();
  first.write(Buffer.alloc(1000));
  first.destroy();
  await once(first, 'close');
  shaped.sweep();
  let passed = false;
  const second = await connect();
  second.write('x', () => {
    passed = true;
  });
  await new Promise(setImmediate);
  assert.equal(passed, false, 'a new connection does not get rid of what is owed');
  clock.advanceTo(5000);
  await new Promise(setImmediate);
  assert.ok(passed);
  second.destroy();
});
