import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ServiceError } from '../../errors.ts';
import { limits, type Profile } from '../../model/limits.ts';
import { operations } from '../operations/index.ts';
import * as images from '../shapes/images.ts';
import * as microvms from '../shapes/microvms.ts';
import type { Members } from '../shapes/shape.ts';
import * as tags from '../shapes/tags.ts';
import { checkInput } from './check.ts';
import { type RawInput, readInput } from './read.ts';

function check(members: Members, raw: Partial<RawInput>, profile: Profile = 'aws'): Record<string, unknown> {
  const input = readInput(members, { path: new Map(), query: [], body: undefined, ...raw });
  checkInput(members, input, { profile, limits: limits[profile] });
  return input;
}

function refusal(members: Members, raw: Partial<RawInput>, profile?: Profile): string {
  try {
    check(members, raw, profile);
  } catch (error) {
    assert(error instanceof ServiceError);
    assert.equal(error.status, 400);
    return error.message;
  }
  return assert.fail('accepted');
}

const image = {
  name: 'demo',
  baseImageArn: 'arn:aws:lambda:us-east-1:aws:microvm-image:al2023-1',
  buildRoleArn: 'arn:aws:iam::123456789012:role/build',
  codeArtifact: { uri: 's3://bucket/key' },
};
const create = images.createImage.members;

test('reports a bad name in the recorded words', () => {
  assert.equal(
    refusal(create, { body: { ...image, name: 'bad name!' } }),
    "1 validation error detected: Value 'bad name!' at 'name' failed to satisfy constraint: " +
      'Member must satisfy regular expression pattern: [a-zA-Z0-9-_]+',
  );
});

test('reports all missing members at once, in the recorded order', () => {
  assert.equal(
    refusal(create, { body: { name: 'demo' } }),
    "3 validation errors detected: Value null at 'baseImageArn' failed to satisfy constraint: Member must not be null; " +
      "Value null at 'codeArtifact' failed to satisfy constraint: Member must not be null; " +
      "Value null at 'buildRoleArn' failed to satisfy constraint: Member must not be null",
  );
});

test('never repeats a secret', () => {
  assert.equal(
    refusal(microvms.runMicrovm.members, {
      body: { imageIdentifier: 'a', runHookPayload: 'x'.repeat(4097) },
    }),
    "1 validation error detected: Value at 'runHookPayload' failed to satisfy constraint: " +
      'Member must have length less than or equal to 4096',
  );
  const environmentVariables = { 'BAD KEY': 'hunter2', B: 'hunter2'.repeat(1000) };
  const message = refusal(create, { body: { ...image, environmentVariables } });
  assert.match(
    message,
    /^2 validation errors detected: Value at 'environmentVariables' .*Map keys.*Map value/,
  );
  assert.doesNotMatch(message, /hunter2/);
});

test('accepts exactly the bounds of the model', () => {
  const run = (maximumDurationInSeconds: number, maxIdleDurationSeconds: number) => ({
    body: {
      imageIdentifier: 'a',
      maximumDurationInSeconds,
      idlePolicy: { maxIdleDurationSeconds, suspendedDurationSeconds: 0, autoResumeEnabled: true },
    },
  });
  const { members } = microvms.runMicrovm;
  check(members, run(1, 60));
  check(members, run(28_800, 60));
  assert.match(
    refusal(members, run(0, 60)),
    /'0' at 'maximumDurationInSeconds' .* value greater than or equal to 1$/,
  );
  assert.match(refusal(members, run(28_801, 60)), /less than or equal to 28800$/);
  assert.match(
    refusal(members, run(1, 59)),
    /'59' at 'idlePolicy.maxIdleDurationSeconds' .* value greater than or equal to 60$/,
  );
});

test('lifts limits in the relaxed profile only', () => {
  const policy = { maxIdleDurationSeconds: 1, suspendedDurationSeconds: 0, autoResumeEnabled: true };
  const run = { body: { imageIdentifier: 'a', maximumDurationInSeconds: 86_400, idlePolicy: policy } };
  const x86 = { body: { ...image, cpuConfigurations: [{ architecture: 'X86_64' }] } };
  check(microvms.runMicrovm.members, run, 'relaxed');
  check(create, x86, 'relaxed');
  refusal(microvms.runMicrovm.members, run, 'aws');
  assert.match(
    refusal(create, x86, 'aws'),
    /'X86_64' at 'cpuConfigurations.1.member.architecture' .*enum value set: \[ARM_64\]$/,
  );
});

test('wants exactly one member of a union', () => {
  const port = (grant: object) => ({
    path: new Map([['microvmIdentifier', 'a']]),
    body: { expirationInMinutes: 1, allowedPorts: [grant] },
  });
  const { members } = microvms.createAuthToken;
  for (const grant of [{ port: 1 }, { allPorts: {} }, { range: { startPort: 1, endPort: 65_535 } }]) {
    assert.deepEqual(check(members, port(grant)).allowedPorts, [grant]);
  }
  assert.match(refusal(members, port({})), /at 'allowedPorts.1.member'/);
  assert.match(refusal(members, port({ port: 1, allPorts: {} })), /at 'allowedPorts.1.member'/);
  assert.match(
    refusal(members, port({ range: { startPort: 1 } })),
    /null at 'allowedPorts.1.member.range.endPort'/,
  );
});

test('refuses values of other types as recorded', () => {
  const allPorts = { body: { expirationInMinutes: 1, allowedPorts: [{ allPorts: true }] } };
  assert.equal(refusal(microvms.createAuthToken.members, allPorts), 'Expected null');
  const bodies = [
    { name: 1 },
    { name: {} },
    { hooks: 'a' },
    { resources: {} },
    [],
    'a',
    7,
    { hooks: { port: 1.5 } },
  ];
  for (const body of bodies) refusal(create, { body });
});

test('takes null for absent, and leaves out what it does not know', () => {
  const body = { ...image, description: null, hooks: { port: null, other: 1 }, unknown: true };
  assert.deepEqual(check(create, { body }), { ...image, hooks: {} });
});

test('reads members from path and query', () => {
  const path = new Map([['Resource', 'arn:aws:lambda:us-east-1:123456789012:microvm-image:demo']]);
  const query = [
    ['tagKeys', 'a'],
    ['other', 'c'],
    ['tagKeys', 'b'],
  ] as const;
  assert.deepEqual(check(tags.untagResource.members, { path, query }).TagKeys, ['a', 'b']);
  assert.match(refusal(tags.untagResource.members, { path }), /null at 'tagKeys'/);
  assert.deepEqual(check(images.listImages.members, { query: [['maxResults', '50']] }), { maxResults: 50 });
  assert.match(refusal(images.listImages.members, { query: [['maxResults', '51']] }), /'51' at 'maxResults'/);
  refusal(images.listImages.members, { query: [['maxResults', 'x']] });
});

test('answers in bounded length whatever the violations', () => {
  const many = { body: { ...image, cpuConfigurations: Array.from({ length: 50_000 }, () => ({})) } };
  assert.ok(refusal(create, many).length < 20_000);
  const long = { body: { ...image, name: 'x'.repeat(1_000_000) } };
  assert.ok(refusal(create, long).length < 3000);
});

test('reads any JSON into its shape or refuses it', () => {
  const json = fc.anything({
    withNullPrototype: false,
    values: [fc.string(), fc.double(), fc.boolean(), fc.constant(null)],
  });
  fc.assert(
    fc.property(
      fc.constantFrom(...operations),
      json,
      fc.array(fc.tuple(fc.string(), fc.string())),
      (operation, body, query) => {
        const path = new Map([...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => [name, 'a']));
        try {
          check(operation.members, { path, query, body });
        } catch (error) {
          assert(error instanceof ServiceError, String(error));
        }
      },
    ),
    { numRuns: 2000 },
  );
});
