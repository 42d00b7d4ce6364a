import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { StateEvent } from '../model/event.ts';
import { EventTail } from './event-tail.ts';

function event(sequence: number): StateEvent {
  return {
    sequence,
    time: sequence,
    subject: 'microvm',
    microvmId: 'microvm-1',
    imageArn: 'arn',
    imageVersion: '1.0',
    buildId: null,
    from: null,
    to: 'RUNNING',
    reason: null,
  };
}

const sequences = (events: readonly StateEvent[] | undefined) => events?.map(({ sequence }) => sequence);

test('answers for what it has, and for nothing else', () => {
  const tail = new EventTail(2);
  assert.equal(tail.read(0, 10), undefined);
  tail.append([event(5), event(6)]);
  assert.equal(tail.read(3, 10), undefined);
  assert.deepEqual(sequences(tail.read(4, 10)), [5, 6]);
  assert.deepEqual(sequences(tail.read(5, 10)), [6]);
  assert.deepEqual(sequences(tail.read(6, 10)), []);
  tail.append([event(7), event(8)]);
  assert.equal(tail.read(5, 10), undefined, 'the older half is gone');
  assert.deepEqual(sequences(tail.read(6, 1)), [7]);
  tail.forget(7);
  assert.equal(tail.read(6, 10), undefined);
  tail.append([event(20)]);
  assert.equal(tail.read(7, 10), undefined, 'others wrote what is between');
  assert.deepEqual(sequences(tail.read(19, 10)), [20]);
  tail.append([event(19)]);
  assert.equal(tail.read(19, 10), undefined, 'out of order');
  tail.append([event(21)]);
  assert.deepEqual(sequences(tail.read(20, 10)), [21]);
});

test('never leaves out an event after a position that it answers for', () => {
  const step = fc.oneof(
    fc.record({ append: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ skip: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ forget: fc.integer({ min: 0, max: 60 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.integer({ min: 1, max: 6 }), (steps, most) => {
      const tail = new EventTail(most);
      let newest = 0;
      let forgotten = 0;
      for (const action of steps) {
        if ('skip' in action) newest += action.skip;
        if ('forget' in action) {
          forgotten = Math.max(forgotten, Math.min(action.forget, newest));
          tail.forget(forgotten);
        }
        if (!('append' in action)) continue;
        const added = Array.from({ length: action.append }, (_, index) => event(newest + index + 1));
        newest += action.append;
        tail.append(added);
        for (let after = 0; after <= newest; after += 1) {
          const known = sequences(tail.read(after, 1000));
          if (known === undefined) continue;
          assert.deepEqual(
            known,
            Array.from({ length: newest - after }, (_, index) => after + index + 1),
          );
        }
      }
    }),
  );
});
