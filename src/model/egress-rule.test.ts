import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EgressRule, matchesName, matchesPort, parseEgressRule } from './egress-rule.ts';

const read: readonly (readonly [string, EgressRule])[] = [
  ['10.1.0.0/16', { kind: 'network', address: '10.1.0.0', prefix: 16, ports: undefined }],
  [
    '192.0.2.7:5432',
    { kind: 'network', address: '192.0.2.7', prefix: 32, ports: [{ first: 5432, last: 5432 }] },
  ],
  ['0.0.0.0/0', { kind: 'network', address: '0.0.0.0', prefix: 0, ports: undefined }],
  ['Example.COM.', { kind: 'name', name: 'example.com', below: false, ports: undefined }],
  [
    '*.example.com:443,8000-8999',
    {
      kind: 'name',
      name: 'example.com',
      below: true,
      ports: [
        { first: 443, last: 443 },
        { first: 8000, last: 8999 },
      ],
    },
  ],
  ['*:443', { kind: 'name', name: '', below: true, ports: [{ first: 443, last: 443 }] }],
  ['localhost', { kind: 'name', name: 'localhost', below: false, ports: undefined }],
];

for (const [text, rule] of read) {
  test(`reads ${text}`, () => assert.deepEqual(parseEgressRule(text), rule));
}

const refused: readonly (readonly [string, RegExp])[] = [
  ['', /not a domain name/],
  ['10.0.0.0/33', /CIDR/],
  ['10.0.0', /not an IPv4 address/],
  ['1.2.3.4/', /CIDR/],
  ['fd00::/8', /IPv4 addresses only/],
  ['[::1]:80', /IPv4 addresses only/],
  ['example.com:', /ports are given as/],
  ['example.com:0', /ports are given as/],
  ['example.com:70000', /ports are given as/],
  ['example.com:90-80', /ports are given as/],
  ['a*.example.com', /whole names below a domain/],
  ['*.*.example.com', /whole names below a domain/],
  ['https://example.com', /ports are given as/],
  ['example.com/path', /not a domain name/],
  ['bücher.example', /xn--/],
  ['-a.example', /not a domain name/],
  ['a..example', /not a domain name/],
  [`${'a'.repeat(64)}.example`, /not a domain name/],
];

for (const [text, message] of refused) {
  test(`refuses ${JSON.stringify(text)}`, () =>
    assert.throws(() => parseEgressRule(text), { name: 'RangeError', message }));
}

function nameRule(text: string) {
  const rule = parseEgressRule(text);
  assert.ok(rule.kind === 'name');
  return rule;
}

test('a name is itself, and a starred one all below it', () => {
  assert.ok(matchesName(nameRule('example.com'), 'example.com'));
  assert.ok(!matchesName(nameRule('example.com'), 'www.example.com'));
  assert.ok(matchesName(nameRule('*.example.com'), 'a.b.example.com'));
  assert.ok(!matchesName(nameRule('*.example.com'), 'example.com'));
  assert.ok(!matchesName(nameRule('*.example.com'), 'badexample.com'));
  assert.ok(matchesName(nameRule('*'), 'anything.at.all'));
});

test('ports are in one of the ranges, or any', () => {
  const rule = nameRule('example.com:80,8000-8001');
  assert.deepEqual(
    [79, 80, 81, 8000, 8001, 8002].map((port) => matchesPort(rule, port)),
    [false, true, false, true, true, false],
  );
  assert.ok(matchesPort(nameRule('example.com'), 1));
});
