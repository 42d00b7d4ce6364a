import assert from 'node:assert/strict';
import { test } from 'node:test';
import { within } from './time-limit.ts';

const never = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

test('what takes too long is said to the owner of the image, and what is aborted is not', async () => {
  const open = new AbortController();
  await assert.rejects(within(open.signal, 10, 'Its files could not be read', never), {
    code: 'CONTAINER_BUILD_FAILED',
    message: 'The container image build failed. Its files could not be read within 0.01 seconds.',
  });
  const stop = new AbortController();
  const work = within(stop.signal, 60_000, 'x', never);
  stop.abort(new Error('stopped'));
  await assert.rejects(work, /stopped/);
  assert.equal(await within(open.signal, 60_000, 'x', async () => 3), 3);
});
