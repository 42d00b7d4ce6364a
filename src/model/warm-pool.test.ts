import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LaunchDemand, parseWarmPoolPolicy } from './warm-pool.ts';

const minute = 60_000;

test('sizes are read, and what is none is refused', () => {
  assert.deepEqual(parseWarmPoolPolicy('off'), { kind: 'off' });
  assert.deepEqual(parseWarmPoolPolicy('fixed:3'), { kind: 'fixed', count: 3 });
  assert.deepEqual(parseWarmPoolPolicy('adaptive'), { kind: 'adaptive', most: 4 });
  assert.deepEqual(parseWarmPoolPolicy('adaptive:100'), { kind: 'adaptive', most: 100 });
  for (const text of ['', 'on', 'fixed', 'fixed:0', 'fixed:101', 'adaptive:', 'adaptive:-1', 'off:1']) {
    assert.throws(() => parseWarmPoolPolicy(text), { name: 'RangeError', message: /^expected off, fixed:N/ });
  }
});

test('one launch keeps nothing ready, launches in a row do, and time undoes it', () => {
  const demand = new LaunchDemand({ kind: 'adaptive', most: 4 });
  assert.equal(demand.wanted(0), 0);
  demand.note(0);
  assert.equal(demand.wanted(0), 0);
  demand.note(10_000);
  assert.equal(demand.wanted(10_000), 1);
  for (let at = 20_000; at <= minute; at += 10_000) demand.note(at);
  assert.equal(demand.wanted(minute), 4);
  assert.equal(demand.wanted(3 * minute), 2);
  assert.equal(demand.wanted(6 * minute), 0);
});

test('a launch every ten minutes keeps nothing ready, one every minute does', () => {
  const rare = new LaunchDemand({ kind: 'adaptive', most: 4 });
  const steady = new LaunchDemand({ kind: 'adaptive', most: 4 });
  for (let turn = 0; turn < 20; turn += 1) {
    rare.note(turn * 10 * minute);
    steady.note(turn * minute);
  }
  assert.equal(rare.wanted(190 * minute), 0);
  assert.ok(steady.wanted(19 * minute) >= 2);
});

test('a fixed number is kept of what was launched from, for ever', () => {
  const demand = new LaunchDemand({ kind: 'fixed', count: 2 });
  assert.equal(demand.wanted(0), 0);
  demand.note(5);
  assert.equal(demand.wanted(1e12), 2);
  assert.equal(demand.fallsIn(5), undefined);
  const off = new LaunchDemand({ kind: 'off' });
  off.note(5);
  assert.equal(off.wanted(5), 0);
});

test('what is wanted falls exactly when it is said to, and reaches nothing', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 300_000 }), { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 1, max: 20 }),
      (gaps, most) => {
        const demand = new LaunchDemand({ kind: 'adaptive', most });
        let now = 1_700_000_000_000;
        for (const gap of gaps) {
          now += gap;
          demand.note(now);
        }
        for (let wanted = demand.wanted(now); wanted > 0; wanted = demand.wanted(now)) {
          assert.ok(wanted <= most);
          const wait = demand.fallsIn(now) ?? Number.NaN;
          assert.ok(wait > 0 && wait <= 5 * minute);
          assert.equal(demand.wanted(now + wait - 3), wanted);
          now += wait;
          assert.equal(demand.wanted(now), wanted - 1);
        }
        assert.equal(demand.fallsIn(now), undefined);
      },
    ),
  );
});
