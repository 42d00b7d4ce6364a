import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BootProgress } from './boot-progress.ts';

/** Looks once a second at a VMM that gets this share of a processor; says after how many seconds it is given up. */
function givenUp(share: number): { readonly after: number; readonly reason: string } {
  const progress = new BootProgress(0);
  for (let second = 1; ; second += 1) {
    const reason = progress.note(second * 1000, second * share);
    if (reason !== undefined) return { after: second, reason };
  }
}

test('a guest on a busy host is waited for as long as it gets on', () => {
  assert.ok(givenUp(0.1).after > 700);
  assert.match(givenUp(0.05).reason, /has not started in 900 s/);
});

test('one that hangs is given up, whether it spins or stands still', () => {
  assert.deepEqual(givenUp(1), {
    after: 75,
    reason: 'the guest has used 75 s of CPU time without having started',
  });
  assert.deepEqual(givenUp(0), { after: 75, reason: 'the guest has not got on for 75 s' });
});

test('where CPU time cannot be told, the time that passes decides', () => {
  const progress = new BootProgress(0);
  assert.equal(progress.note(74_000, undefined), undefined);
  assert.match(progress.note(75_000, undefined) ?? '', /has not got on/);
});
