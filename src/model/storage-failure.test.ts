import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeStorageFailure } from './storage-failure.ts';

test('a disk is named as the cause where it is', () => {
  const failure = (members: object, cause?: unknown): Error =>
    Object.assign(new Error('no', { cause }), members);
  assert.equal(describeStorageFailure(failure({ code: 'ENOSPC' })), 'the disk is full');
  const readOnly = failure({ code: 'ERR_SQLITE_ERROR', errcode: 1544 });
  assert.equal(describeStorageFailure(readOnly), 'the file system is read-only');
  assert.equal(describeStorageFailure(failure({}, readOnly)), 'the file system is read-only');
  assert.equal(describeStorageFailure(failure({ code: 'ECONNRESET' })), undefined);
  assert.equal(describeStorageFailure('EIO'), undefined);
});
