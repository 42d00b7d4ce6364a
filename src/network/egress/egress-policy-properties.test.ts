import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type EgressPolicyDocument, readEgressPolicy, uniteRules } from '../../model/egress-policy.ts';
import { isPublic, networkSet } from './address-space.ts';
import { createEgressPolicy, type EgressPolicy } from './egress-policy.ts';

/** What has to hold whatever the policies say. */

const names = ['example.com', 'a.example.com', 'b.a.example.com', 'example.org'];
const address = fc.oneof(
  fc.ipV4(),
  fc.constantFrom('10.0.0.1', '10.1.2.3', '127.0.0.1', '169.254.169.254', '8.8.8.8', '8.8.4.4'),
);
const network = fc
  .tuple(address, fc.integer({ min: 0, max: 32 }))
  .map(([base, prefix]) => `${base}/${prefix}`);
const target = fc.oneof(network, fc.constantFrom(...names, '*', '*.com', '*.example.com'));
const rule = fc
  .tuple(target, fc.constantFrom('', ':443', ':1-1023', ':80,443'))
  .map(([what, ports]) => what + ports);
const rules = fc.array(rule, { maxLength: 6 });
const document: fc.Arbitrary<EgressPolicyDocument> = fc.record({
  allow: rules,
  deny: rules,
  default: fc.constantFrom('allow', 'deny'),
});
interface Asked {
  readonly address: string;
  readonly port: number;
  readonly told: readonly string[];
  readonly name: string;
}

const request: fc.Arbitrary<Asked> = fc.record({
  address,
  port: fc.constantFrom(22, 80, 443, 8080),
  told: fc.subarray(names),
  name: fc.constantFrom(...names),
});

function policyOf(...documents: readonly EgressPolicyDocument[]): EgressPolicy {
  return createEgressPolicy(uniteRules(documents.map(readEgressPolicy)));
}

/** What a policy opens of a request. */
function opened(policy: EgressPolicy, { address: to, port, told, name }: Asked) {
  return [policy.allows(to, port, told), policy.resolves(name), policy.allowsServer(to, port, name)];
}

test('a denial more opens nothing, and a rule that allows more closes nothing', () => {
  fc.assert(
    fc.property(document, rule, request, (base, more, asked) => {
      const before = opened(policyOf(base), asked);
      const stricter = opened(policyOf({ ...base, deny: [...base.deny, more] }), asked);
      const wider = opened(policyOf({ ...base, allow: [...base.allow, more] }), asked);
      before.forEach((was, index) => {
        assert.ok(was || !stricter[index]);
        assert.ok(!was || wider[index]);
      });
    }),
    { numRuns: 500 },
  );
});

test('the order of policies means nothing', () => {
  fc.assert(
    fc.property(document, document, request, (first, second, asked) => {
      assert.deepEqual(opened(policyOf(first, second), asked), opened(policyOf(second, first), asked));
    }),
  );
});

test('what is not public is open only to a rule by address, and never to a name', () => {
  fc.assert(
    fc.property(document, request, (base, asked) => {
      fc.pre(!isPublic(asked.address));
      if (!policyOf(base).allows(asked.address, asked.port, asked.told)) return;
      const named = base.allow.map((text) => text.split(':')[0] ?? '').filter((text) => /^\d/.test(text));
      assert.ok(networkSet(named).has(asked.address));
    }),
    { numRuns: 500 },
  );
});
