import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mayName } from './host-name.ts';

test('addresses, names of this machine and names that were given may be meant', () => {
  const hosts = [
    '127.0.0.1:9090',
    '10.1.2.3',
    '[::1]:9090',
    '[fd00::1]',
    'localhost:9090',
    'api.localhost',
    'dormouse:9090',
    'Dormouse.Example:9090',
    'dormouse.example.',
  ];
  for (const host of hosts) assert.ok(mayName(host, ['dormouse.example']), host);
  assert.ok(mayName(undefined, []));
});

test('domains of others may not', () => {
  for (const host of [
    'rebind.example:9090',
    'dormouse.example.rebind.example',
    'x.localhost.rebind.example',
    '127.0.0.1.rebind.example',
  ]) {
    assert.ok(!mayName(host, ['dormouse.example']), host);
  }
});
