import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operations } from './operations/index.ts';
import { createRouter } from './router.ts';

const router = createRouter(operations);
const arn = 'arn:aws:lambda:us-east-1:123456789012:microvm-image:demo';

test('finds every operation by its own template', () => {
  for (const operation of operations) {
    const path = operation.path.replace(/\{\w+\}/g, 'a%20b');
    const route = router(operation.method, path);
    assert.equal(route?.operation.name, operation.name);
    for (const value of route?.path.values() ?? []) assert.equal(value, 'a b');
  }
});

test('takes ARNs raw and percent-encoded', () => {
  for (const spelling of [arn, encodeURIComponent(arn), arn.replaceAll(':', '%3a')]) {
    const route = router('GET', `/2025-09-09/microvm-images/${spelling}/versions/1.0`);
    assert.equal(route?.operation.name, 'GetMicrovmImageVersion');
    assert.deepEqual(
      [...(route?.path ?? [])],
      [
        ['imageIdentifier', arn],
        ['imageVersion', '1.0'],
      ],
    );
  }
});

test('finds nothing elsewhere', () => {
  for (const path of [
    '',
    '/',
    '*',
    '/2025-09-09',
    '/2025-09-09/microvms/',
    '/2025-09-09/microvms//suspend',
  ]) {
    assert.equal(router('GET', path), undefined, path);
  }
  assert.equal(router('PUT', '/2025-09-09/microvms/a'), undefined);
  assert.equal(router('GET', `/2025-09-09/microvm-images/${arn.replace('image:', 'image/')}`), undefined);
});
