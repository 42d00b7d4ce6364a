import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sourceNetworks } from './source-networks.ts';

test('only listed networks are allowed', () => {
  const networks = sourceNetworks(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32']);
  for (const address of ['10.255.0.1', '::ffff:10.1.2.3', '192.0.2.7', '2001:db8:ffff::1']) {
    assert.equal(networks.allows(address), true, address);
  }
  for (const address of ['11.0.0.1', '192.0.2.8', '::ffff:11.1.2.3', '2001:db9::1', '::1', '', 'name']) {
    assert.equal(networks.allows(address), false, address);
  }
});

test('an empty list allows nobody, the whole of IPv4 no IPv6', () => {
  assert.equal(sourceNetworks([]).allows('127.0.0.1'), false);
  const everyone = sourceNetworks(['0.0.0.0/0']);
  assert.deepEqual([everyone.allows('203.0.113.9'), everyone.allows('2001:db8::1')], [true, false]);
});

test('what is no network is refused', () => {
  for (const text of ['', '10.0.0.0/33', '10.0.0/8', '::/129', 'localhost', '10.0.0.0/-1', '10.0.0.0/8x']) {
    assert.throws(() => sourceNetworks([text]), RangeError, text);
  }
});
