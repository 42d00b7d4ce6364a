import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ToldAddresses } from './told-addresses.ts';

const minute = 60_000;

function told() {
  let now = 0;
  return { addresses: new ToldAddresses(() => now), pass: (ms: number) => (now += ms) };
}

test('a name is known for as long as its answer is good', () => {
  const { addresses, pass } = told();
  addresses.add('192.0.2.1', 'a.example', 300);
  addresses.add('192.0.2.1', 'b.example', 600);
  assert.deepEqual(addresses.namesOf('192.0.2.1'), ['a.example', 'b.example']);
  assert.deepEqual(addresses.namesOf('192.0.2.2'), []);
  pass(5 * minute);
  assert.deepEqual(addresses.namesOf('192.0.2.1'), ['b.example']);
  addresses.add('192.0.2.1', 'b.example', 600);
  pass(9 * minute);
  assert.deepEqual(addresses.namesOf('192.0.2.1'), ['b.example']);
  pass(minute);
  assert.deepEqual(addresses.namesOf('192.0.2.1'), []);
});

test('an answer good for no time is good for a minute, one good for ever for a day', () => {
  const { addresses, pass } = told();
  addresses.add('192.0.2.1', 'a.example', 0);
  addresses.add('192.0.2.2', 'b.example', 2 ** 31);
  pass(minute - 1);
  assert.deepEqual(addresses.namesOf('192.0.2.1'), ['a.example']);
  pass(1);
  assert.deepEqual(addresses.namesOf('192.0.2.1'), []);
  pass(24 * 60 * minute);
  assert.deepEqual(addresses.namesOf('192.0.2.2'), []);
});

test('only so many are kept; the oldest go', () => {
  const { addresses } = told();
  for (let index = 0; index < 5000; index += 1)
    addresses.add(`10.0.${index >> 8}.${index & 255}`, 'a.example', 60);
  assert.deepEqual(addresses.namesOf('10.0.0.0'), []);
  assert.deepEqual(addresses.namesOf('10.0.19.135'), ['a.example']);
});
