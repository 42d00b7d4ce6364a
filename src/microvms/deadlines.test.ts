import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Deadlines } from './deadlines.ts';
import { ManualClock } from './manual-clock-for-test.ts';

test('each id fires once, at its latest deadline, never after being cleared, with a single timer', () => {
  const operation = fc.record({
    id: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    at: fc.option(fc.integer({ min: 1, max: 100 })),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const clock = new ManualClock();
      const fired: [string, number][] = [];
      const deadlines = new Deadlines(clock, (id) => fired.push([id, clock.now()]));
      const expected = new Map<string, number>();
      for (const { id, at } of operations) {
        if (at === null) {
          deadlines.clear(id);
          expected.delete(id);
        } else {
          deadlines.set(id, at);
          expected.set(id, at);
        }
        assert.ok(clock.timers.size <= 1);
      }
      for (let time = 1; time <= 100; time += 1) clock.advanceTo(time);
      assert.deepEqual(new Map(fired), expected);
      assert.equal(fired.length, expected.size);
    }),
  );
});

test('a deadline in the past fires at once and one set while firing is kept', () => {
  const clock = new ManualClock();
  const fired: string[] = [];
  const deadlines = new Deadlines(clock, (id) => {
    fired.push(id);
    if (id === 'first') deadlines.set('second', 20);
  });
  clock.time = 10;
  deadlines.set('first', 5);
  clock.advanceTo(10);
  clock.advanceTo(20);
  assert.deepEqual(fired, ['first', 'second']);
});
