import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliError } from './errors.ts';
import { matchMicrovm } from './identify.ts';

const known = [
  { microvmId: 'microvm-3f2a1111-0000-4000-8000-000000000000', state: 'RUNNING' },
  { microvmId: 'microvm-3f2b2222-0000-4000-8000-000000000000', state: 'SUSPENDED' },
  { microvmId: 'microvm-3f2a9999-0000-4000-8000-000000000000', state: 'TERMINATED' },
  { microvmId: 'microvm-77770000-0000-4000-8000-000000000000', state: 'TERMINATED' },
] as const;

test('the start of an id is enough, with or without its prefix', () => {
  assert.equal(matchMicrovm('3f2b', known), known[1].microvmId);
  assert.equal(matchMicrovm('microvm-3f2b2', known), known[1].microvmId);
});

test('a live VM is meant before a terminated one', () => {
  assert.equal(matchMicrovm('3f2a', known), known[0].microvmId);
  assert.equal(matchMicrovm('7', known), known[3].microvmId);
  assert.equal(matchMicrovm('3f2a9', known), known[2].microvmId);
});

test('none or several are told apart', () => {
  assert.throws(
    () => matchMicrovm('3f2', known),
    (error: unknown) => error instanceof CliError && /Several/.test(error.message),
  );
  assert.throws(
    () => matchMicrovm('zz', known),
    (error: unknown) => error instanceof CliError && /No microVM/.test(error.message),
  );
});
