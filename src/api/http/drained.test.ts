import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { type TestContext, test } from 'node:test';
import { drained } from './drained.ts';

/** A response whose reader does what the test says. */
function open(context: TestContext) {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const leaving = new AbortController();
  const destroy = (): void => leaving.abort(new Error('it was destroyed'));
  const response = Object.assign(new EventEmitter(), { destroy });
  return { response, signal: leaving.signal, timers: context.mock.timers };
}

test('goes on when the reader has taken what there was', async (context) => {
  const { response, signal, timers } = open(context);
  const waiting = drained(response, signal);
  timers.tick(29_000);
  response.emit('drain');
  await waiting;
  timers.tick(60_000);
  assert.equal(signal.aborted, false, 'a reader that is quick enough is not cut off later');
});

test('cuts a reader off that takes too long', async (context) => {
  const { response, signal, timers } = open(context);
  const waiting = drained(response, signal);
  timers.tick(30_000);
  await assert.rejects(waiting, { name: 'AbortError' });
});
