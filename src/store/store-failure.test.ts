import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import { StoreUnavailableError, storeFailure } from './store-failure.ts';

function ofServer(code: string): Error {
  return Object.assign(new pg.DatabaseError('it failed', 9, 'error'), { code });
}

function ofSocket(code?: string): Error {
  return Object.assign(new Error('it failed'), code === undefined ? {} : { code });
}

test('what may go through later is told apart from what is wrong', () => {
  const passing = [
    ...['57P01', '53100', '08006', '40P01', '40001'].map(ofServer),
    ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', undefined].map(ofSocket),
  ];
  for (const error of passing) {
    assert.ok(storeFailure(error) instanceof StoreUnavailableError, `${JSON.stringify(error)}`);
  }
  for (const code of ['23505', '42P01', '28P01', '3D000']) {
    const error = ofServer(code);
    assert.equal(storeFailure(error), error);
  }
});
