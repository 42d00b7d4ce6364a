import assert from 'node:assert/strict';
import os from 'node:os';
import { test } from 'node:test';
import { internetOnly, noEgress } from './egress-policy.ts';

const refused = [
  '0.0.0.0',
  '10.1.2.3',
  '100.64.0.1',
  '127.0.0.1',
  '127.9.9.9',
  '169.254.169.254',
  '172.31.255.255',
  '192.168.0.1',
  '198.19.0.1',
  '224.0.0.1',
  '255.255.255.255',
  '::1',
  '::',
  '::ffff:127.0.0.1',
  '::ffff:7f00:1',
  '64:ff9b::7f00:1',
  'fd00::1',
  'fe80::1',
  'ff02::1',
  'not an address',
  '',
];

for (const address of refused) {
  test(`a guest cannot reach ${address || 'nothing'}`, () => {
    assert.equal(internetOnly().allows(address, 443), false);
  });
}

for (const address of ['1.1.1.1', '8.8.8.8', '172.32.0.1', '99.255.255.255', '2606:4700::1111']) {
  test(`a guest can reach ${address}`, () => {
    assert.equal(internetOnly().allows(address, 443), true);
    assert.equal(noEgress.allows(address, 443), false);
  });
}

test("this host's own addresses are out of reach, public ones too", () => {
  const own = Object.values(os.networkInterfaces()).flatMap((entries) => entries ?? []);
  assert.ok(own.length > 0);
  for (const { address } of own) assert.equal(internetOnly().allows(address, 80), false, address);
});
