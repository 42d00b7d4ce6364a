import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Windows } from './windows.ts';
import { streamWindow } from './wire.ts';

test('a hundred streams have whole windows, and a thousand bounded ones', () => {
  const windows = new Windows();
  const opened = Array.from({ length: 1024 }, () => windows.open());
  assert.ok(opened.slice(0, 64).every(({ bytes }) => bytes === streamWindow));
  const sum = opened.reduce((total, { bytes }) => total + bytes, 0);
  assert.ok(sum <= 48 * 1024 * 1024, String(sum));
  assert.ok(opened.every(({ bytes }) => bytes >= 16 * 1024));
});

test('what is given back is there for others, once', () => {
  const windows = new Windows();
  const opened = Array.from({ length: 1000 }, () => windows.open());
  for (const window of opened) {
    window.release();
    window.release();
  }
  assert.deepEqual(
    Array.from({ length: 1000 }, () => windows.open().bytes),
    opened.map(({ bytes }) => bytes),
  );
});
