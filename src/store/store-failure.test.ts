import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StoreUnavailableError, storeFailure } from './store-failure.ts';

function failure(code?: string): Error {
  return Object.assign(new Error('it failed'), code === undefined ? {} : { code });
}

test('what may go through later is told apart from what is wrong', () => {
  const passing = ['57P01', '53100', '08006', '40P01', '40001', 'ECONNREFUSED', 'ECONNRESET', undefined];
  for (const code of passing) {
    assert.ok(storeFailure(failure(code)) instanceof StoreUnavailableError, `${code}`);
  }
  for (const code of ['23505', '42P01', '28P01', '3D000']) {
    const error = failure(code);
    assert.equal(storeFailure(error), error);
  }
});
