import assert from 'node:assert/strict';
import os from 'node:os';
import { describe, test } from 'node:test';
import { type EgressPolicyDocument, readEgressPolicy, uniteRules } from '../../model/egress-policy.ts';
import { createEgressPolicy, type EgressPolicy } from './egress-policy.ts';

function policy(...documents: readonly Partial<EgressPolicyDocument>[]): EgressPolicy {
  const rules = documents.map((document) =>
    readEgressPolicy({ allow: [], deny: [], default: 'deny', ...document }),
  );
  return createEgressPolicy(uniteRules(rules));
}

const internet = policy({ default: 'allow' });
const nothing = policy();
const own = Object.values(os.networkInterfaces())
  .flatMap((entries) => entries ?? [])
  .map(({ address }) => address);

describe('the Internet and nothing', () => {
  const refused = [
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '127.0.0.1',
    '127.9.9.9',
    '168.63.129.16',
    '169.254.169.254',
    '172.31.255.255',
    '192.168.0.1',
    '192.31.196.1',
    '192.52.193.1',
    '192.175.48.1',
    '198.19.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '64:ff9b::7f00:1',
    '64:ff9b:1::1',
    '100::1',
    '100:0:0:1::1',
    '2001:20::1',
    '2001:db8::1',
    '2002:7f00:1::',
    '2620:4f:8000::1',
    '3fff:fff::1',
    '5f00::1',
    'fd00::1',
    'fec0::1',
    'fe80::1',
    'ff02::1',
    'not an address',
    '',
  ];
  for (const address of refused) {
    test(`a guest cannot reach ${address || 'nothing'}`, () => {
      assert.equal(internet.allows(address, 443, []), false);
      // Not by a name that resolves there either.
      assert.equal(policy({ allow: ['*'] }).allows(address, 443, ['rebind.example']), false);
    });
  }

  for (const address of [
    '1.1.1.1',
    '8.8.8.8',
    '172.32.0.1',
    '99.255.255.255',
    '168.63.129.17',
    '2606:4700::1111',
    '2a00::1',
    '3ffe::1',
  ]) {
    test(`a guest can reach ${address}`, () => {
      assert.equal(internet.allows(address, 443, []), true);
      assert.equal(nothing.allows(address, 443, []), false);
    });
  }

  test("this host's own addresses are out of reach, public ones too", () => {
    assert.ok(own.length > 0);
    for (const address of own) assert.equal(internet.allows(address, 80, []), false, address);
  });

  test('names are looked up for who reaches the Internet', () => {
    assert.equal(internet.resolves('example.com'), true);
    assert.equal(internet.resolves(undefined), true);
    assert.equal(nothing.resolves('example.com'), false);
    assert.equal(nothing.resolves(undefined), false);
  });
});

describe('rules by network', () => {
  test('open what they name, at the ports they name', () => {
    const rules = policy({ allow: ['10.1.0.0/16:5432', '93.184.216.34'] });
    assert.equal(rules.allows('10.1.2.3', 5432, []), true);
    assert.equal(rules.allows('10.1.2.3', 5433, []), false);
    assert.equal(rules.allows('10.2.0.1', 5432, []), false);
    assert.equal(rules.allows('93.184.216.34', 1, []), true);
    assert.equal(rules.resolves('example.com'), false);
  });

  test('a wide network opens only what is public of it', () => {
    const rules = policy({ allow: ['0.0.0.0/0', '172.0.0.0/8'] });
    assert.equal(rules.allows('8.8.8.8', 80, []), true);
    for (const address of ['10.0.0.1', '127.0.0.1', '169.254.169.254', '172.16.0.1']) {
      assert.equal(rules.allows(address, 80, []), false, address);
    }
  });

  test("this host's addresses open to a rule for the one address only", () => {
    const address = own.find((candidate) => /^\d+\./.test(candidate));
    assert.ok(address);
    assert.equal(policy({ allow: [`${address}/8`] }).allows(address, 80, []), false);
    assert.equal(policy({ allow: [`${address}:80`] }).allows(address, 80, []), true);
  });

  test('a denial beats every rule that allows, of any policy', () => {
    const rules = policy(
      { allow: ['10.0.0.0/8'], default: 'allow' },
      { deny: ['10.1.0.0/16', '8.8.8.8:53'] },
    );
    assert.equal(rules.allows('10.2.0.1', 80, []), true);
    assert.equal(rules.allows('10.1.0.1', 80, []), false);
    assert.equal(rules.allows('8.8.8.8', 53, []), false);
    assert.equal(rules.allows('8.8.8.8', 443, []), true);
  });
});

describe('rules by name', () => {
  const rules = policy({ allow: ['*.example.com:443', 'example.com'], deny: ['bad.example.com', '*:25'] });

  test('open the addresses the guest was told for the name', () => {
    assert.equal(rules.allows('93.184.216.34', 443, []), false);
    assert.equal(rules.allows('93.184.216.34', 443, ['www.example.com']), true);
    assert.equal(rules.allows('93.184.216.34', 80, ['www.example.com']), false);
    assert.equal(rules.allows('93.184.216.34', 80, ['example.com']), true);
    assert.equal(rules.allows('93.184.216.34', 443, ['other.example']), false);
    assert.equal(rules.judgesNames, true);
    assert.equal(internet.judgesNames, false);
  });

  test('a shared address is open to servers of an allowed name only', () => {
    const shared = '93.184.216.34';
    assert.equal(rules.allowsServer(shared, 443, 'www.example.com'), true);
    assert.equal(rules.allowsServer(shared, 80, 'www.example.com'), false);
    assert.equal(rules.allowsServer(shared, 443, 'bad.example.com'), false);
    assert.equal(rules.allowsServer(shared, 443, 'other.example'), false);
    assert.equal(rules.allowsServer(shared, 443, undefined), false);
    const byAddress = policy({ allow: [shared], deny: ['bad.example'] });
    assert.equal(byAddress.allowsServer(shared, 443, undefined), true);
    assert.equal(byAddress.allowsServer(shared, 443, 'other.example'), true);
    assert.equal(byAddress.allowsServer(shared, 443, 'bad.example'), false);
  });

  test('other names are not looked up', () => {
    assert.equal(rules.resolves('www.example.com'), true);
    assert.equal(rules.resolves('example.com'), true);
    assert.equal(rules.resolves('bad.example.com'), false);
    assert.equal(rules.resolves('example.org'), false);
    assert.equal(rules.resolves(undefined), false);
  });

  test('a denied port of a name is denied, the name looked up all the same', () => {
    assert.equal(rules.allows('93.184.216.34', 25, ['example.com']), false);
    assert.equal(rules.deniesName('example.com'), false);
    assert.equal(rules.deniesName('bad.example.com'), true);
  });

  test('denied names leave the rest of the Internet', () => {
    const most = policy({ default: 'allow', deny: ['*.tracker.example'] });
    assert.equal(most.resolves('example.com'), true);
    assert.equal(most.resolves('a.tracker.example'), false);
    // What cannot be read as one name could be a denied one.
    assert.equal(most.resolves(undefined), false);
    assert.equal(most.allows('93.184.216.34', 443, ['a.tracker.example']), false);
    assert.equal(most.allowsServer('93.184.216.34', 443, 'a.tracker.example'), false);
    assert.equal(most.allowsServer('93.184.216.34', 443, undefined), true);
  });
});
