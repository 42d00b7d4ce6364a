import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteQueue, gatheredBytes } from './byte-queue.ts';

function drain(queue: ByteQueue): Buffer[] {
  const pieces: Buffer[] = [];
  for (let piece = queue.shift(); piece !== undefined; piece = queue.shift()) pieces.push(piece);
  return pieces;
}

test('what comes out is what went in, whatever the sizes', () => {
  const queue = new ByteQueue();
  const sent: Buffer[] = [];
  for (let index = 0; index < 2000; index += 1) {
    const bytes = Buffer.alloc((index * 7919) % 3 === 0 ? (index * 31) % 9000 : index % 40, index);
    queue.push(bytes);
    sent.push(bytes);
  }
  const whole = Buffer.concat(sent);
  assert.equal(queue.length, whole.length);
  assert.ok(Buffer.concat(drain(queue)).equals(whole));
  assert.equal(queue.length, 0);
});

test('single bytes leave in large pieces', () => {
  const queue = new ByteQueue();
  for (let index = 0; index < 100_000; index += 1) queue.push(Buffer.of(index));
  assert.ok(drain(queue).length < 2 + 100_000 / (gatheredBytes / 2));
});

test('small and large pieces in turn waste no more than they hold', () => {
  const queue = new ByteQueue();
  for (let index = 0; index < 100; index += 1) {
    queue.push(Buffer.of(1));
    queue.push(Buffer.alloc(gatheredBytes, 2));
  }
  const memory = new Set(drain(queue).map((piece) => piece.buffer));
  const held = [...memory].reduce((sum, { byteLength }) => sum + byteLength, 0);
  assert.ok(held < 4 * 100 * gatheredBytes, String(held));
});

test('what was left of a piece comes first again', () => {
  const queue = new ByteQueue();
  queue.push(Buffer.alloc(5000, 'a'));
  queue.push(Buffer.from('b'));
  const first = queue.shift();
  queue.unshift(first?.subarray(4999) ?? Buffer.alloc(0));
  assert.equal(queue.length, 2);
  assert.equal(Buffer.concat(drain(queue)).toString(), 'ab');
});
