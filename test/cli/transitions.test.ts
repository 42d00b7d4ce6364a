/** Commands that change a microVM's state end when that is done, whatever becomes of it since. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Microvm, MicrovmState } from '../../src/model/microvm.ts';
import { type CliFixture, startCliFixture } from './fixture.ts';

let fixture: CliFixture;

before(async () => {
  fixture = await startCliFixture((_request, response) => response.end());
});

after(() => fixture.close());

/** Lets another client's call follow at once on each call of one kind. */
function followed(
  context: { after(undo: () => void): void },
  call: 'suspend' | 'resume',
  next: 'suspend' | 'resume' | 'terminate',
): void {
  const { microvms } = fixture.server.services;
  const original = microvms[call];
  context.after(() => Object.assign(microvms, { [call]: original }));
  Object.assign(microvms, {
    [call]: async (id: string) => {
      await original(id);
      await microvms[next](id);
    },
  });
}

test('resume ends when it was answered, and says that the microVM has been put to sleep since', {
  timeout: 30_000,
}, async (t) => {
  const id = await fixture.launch('drowsy');
  await fixture.dormouse('suspend', id);
  followed(t, 'resume', 'suspend');
  const { code, stdout, stderr } = await fixture.dormouse('resume', id);
  assert.deepEqual([code, stdout], [0, `${id}  SUSPENDED\n`]);
  assert.equal(stderr, `${id} was woken, and has been put to sleep again since.\n`);
});

test('suspend ends although the microVM is awake again, and has failed then', {
  timeout: 30_000,
}, async (t) => {
  const id = await fixture.launch('sleepless');
  followed(t, 'suspend', 'resume');
  const { code, stdout, stderr } = await fixture.dormouse('suspend', id);
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(stderr, new RegExp(`${id} is RUNNING: it was woken again, or could not be put to sleep\\.`));
});

test('suspend waits until the microVM sleeps, unless it is told not to', { timeout: 30_000 }, async (t) => {
  const id = await fixture.launch('slow');
  const { microvms } = fixture.server.services;
  const { get } = microvms;
  t.after(() => Object.assign(microvms, { get }));
  let states: readonly MicrovmState[] = [];
  Object.assign(microvms, {
    get: async (asked: string): Promise<Microvm> => {
      const [state = 'SUSPENDED', ...later] = states;
      states = later;
      return { ...(await get(asked)), state };
    },
  });
  states = ['SUSPENDING', 'SUSPENDING'];
  assert.equal((await fixture.dormouse('suspend', id)).stdout, `${id}  SUSPENDED\n`);
  states = ['SUSPENDING', 'SUSPENDING'];
  assert.equal((await fixture.dormouse('suspend', '--no-wait', id)).stdout, `${id}  SUSPENDING\n`);
});

for (const call of ['suspend', 'resume'] as const) {
  test(`${call} tells of a microVM that has ended meanwhile`, { timeout: 30_000 }, async (t) => {
    const id = await fixture.launch(`ending-${call}`);
    followed(t, call, 'terminate');
    const { code, stderr } = await fixture.dormouse(call, id);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`${id} has terminated: Success\\.`));
  });
}
