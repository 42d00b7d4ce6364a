import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GuestVersionError } from '../guest/guest-agent.ts';
import { applicationExited, diskFull, platformError } from './build-failure.ts';
import { withSecondAttempt } from './second-attempt.ts';

/** How often work that fails with these errors, and then succeeds, is done. */
async function attempts(...errors: readonly unknown[]): Promise<number> {
  let count = 0;
  const work = async (): Promise<void> => {
    count += 1;
    const error = errors[count - 1];
    if (error !== undefined) throw error;
  };
  await withSecondAttempt(work, async () => undefined, new AbortController().signal).catch(() => undefined);
  return count;
}

test('what failed inside the platform is tried twice, and not more often', async () => {
  assert.equal(await attempts(platformError(new Error('the guest has not got on'))), 2);
  assert.equal(await attempts(new Error('the VMM ended')), 2);
  assert.equal(await attempts(new Error('first'), new Error('second')), 2);
});

test('what would fail again is not', async () => {
  assert.equal(await attempts(applicationExited(1)), 1);
  assert.equal(await attempts(diskFull('full')), 1);
  assert.equal(await attempts(platformError(new GuestVersionError('version 1'))), 1);
});

test('nothing is tried again once it is to stop', async () => {
  const stop = new AbortController();
  const work = async (): Promise<void> => {
    stop.abort(new Error('stopped'));
    throw new Error('the VMM ended');
  };
  const never = async (): Promise<void> => assert.fail('a second attempt');
  await assert.rejects(withSecondAttempt(work, never, stop.signal), /stopped/);
});
