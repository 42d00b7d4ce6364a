import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WorkBudget } from './work-budget.ts';

test('a burst passes at once, and the rest at the rate', () => {
  let now = 0;
  const budget = new WorkBudget(1000, 400, () => now);
  let done = 0;
  const work = (): void => {
    while (budget.waitMs === 0) {
      budget.spend(10);
      done += 10;
    }
  };
  work();
  assert.equal(done, 400);
  for (let turn = 0; turn < 100; turn += 1) {
    now += budget.waitMs;
    work();
  }
  // A helping of an eighth of the burst takes 50 ms.
  assert.equal(now, 5000);
  assert.equal(done, 5400);
});

test('what is owed is made up for before anything else is done', () => {
  let now = 0;
  const budget = new WorkBudget(1000, 80, () => now);
  budget.spend(1080);
  assert.equal(budget.waitMs, 1010);
  now = 999;
  assert.ok(budget.left < 0);
  now = 1010;
  assert.equal(budget.waitMs, 0);
});

test('a pause earns no more than a burst', () => {
  let now = 0;
  const budget = new WorkBudget(1000, 80, () => now);
  now = 1e6;
  assert.equal(budget.left, 80);
});
