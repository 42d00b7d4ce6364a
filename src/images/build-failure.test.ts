import assert from 'node:assert/strict';
import { test } from 'node:test';
import { platformError } from './build-failure.ts';

const recorded = 'INTERNAL_PLATFORM_ERROR: The build failed inside the platform. Please try again.';

test('an error of the platform says its cause, without paths of the host', () => {
  const cause = new Error("ENOSYS: cannot do it, open '/var/lib/dormouse/images/builds/x/root.ext4'");
  assert.equal(platformError(cause).message, `${recorded} Cause: ENOSYS: cannot do it, open 'root.ext4'`);
  assert.equal(platformError(cause).cause, cause);
  const words = new Error('the VMM ended: see https://example.test/a/b or exit code 1');
  assert.equal(platformError(words).message, `${recorded} Cause: ${words.message}`);
});

test('a long cause is cut, and its last line is what counts', () => {
  assert.equal(platformError(new Error('a\nb\n\n')).message, `${recorded} Cause: b`);
  assert.equal(platformError(new Error('x'.repeat(5000))).message.length, `${recorded} Cause: `.length + 300);
  assert.equal(platformError(undefined).message, `${recorded} Cause: undefined`);
});
