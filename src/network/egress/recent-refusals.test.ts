import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecentRefusals } from './recent-refusals.ts';

test('counts what was refused, latest first', () => {
  let now = 0;
  const refusals = new RecentRefusals(() => (now += 1));
  refusals.add('name', 'a.example');
  refusals.add('connection', '192.0.2.1:443');
  refusals.add('name', 'a.example');
  assert.deepEqual(refusals.list(), [
    { kind: 'name', target: 'a.example', count: 2, lastAt: 3 },
    { kind: 'connection', target: '192.0.2.1:443', count: 1, lastAt: 2 },
  ]);
});

test('remembers a hundred targets', () => {
  const refusals = new RecentRefusals(() => 0);
  for (let index = 0; index < 250; index += 1) refusals.add('name', `${index}.example`);
  const targets = refusals.list().map(({ target }) => target);
  assert.deepEqual([targets.length, targets[0], targets[99]], [100, '249.example', '150.example']);
});
