import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { connectorNotFound } from '../errors/connectors.ts';
import { ServiceError } from '../errors.ts';
import { managedBaseImageArn, managedConnectorArn } from '../model/arn.ts';
import { limits } from '../model/limits.ts';
import type { ImageInput } from './image-service.ts';
import { resolveConfiguration } from './input-rules.ts';

const region = 'us-east-2';
const base = managedBaseImageArn(region);
/** Knows no customer connector. */
const connectors = {
  requireActive: (arn: string) => {
    throw connectorNotFound(arn);
  },
};
const good: ImageInput = {
  baseImageArn: base,
  buildRoleArn: 'arn:aws:iam::000000000000:role/build',
  codeArtifact: { uri: 's3://bucket/key.zip' },
};

describe('resolveConfiguration', () => {
  it('fills in what is left out', () => {
    const configuration = resolveConfiguration(good, limits.aws, region, connectors);
    assert.deepEqual(configuration, {
      ...good,
      baseImageVersion: '1.0',
      description: null,
      logging: null,
      egressNetworkConnectors: [managedConnectorArn(region, 'INTERNET_EGRESS')],
      cpuConfigurations: null,
      minimumMemoryInMiB: 2048,
      additionalOsCapabilities: null,
      hooks: null,
      environmentVariables: null,
    });
  });

  const ready = { microvmImageHooks: { ready: 'ENABLED' } } as const;
  const refused: readonly (readonly [string, Partial<ImageInput>, string])[] = [
    [
      'an artifact that is not in S3',
      { codeArtifact: { uri: 'https://example.com/a.zip' } },
      'CodeArtifact URI must be a valid S3 URI in the format: s3://<bucket>/<key>',
    ],
    [
      'a size the service has not',
      { resources: [{ minimumMemoryInMiB: 32_768 }] },
      `The requested memory size of 32768 MiB is not supported by base MicroVM image ${base}. Supported memory sizes in MiB are: [512, 1024, 2048, 4096, 8192].`,
    ],
    [
      'a lifecycle hook without the ready hook',
      { hooks: { port: 9000, microvmHooks: { run: 'ENABLED' } } },
      'The ready (/ready) MicroVM image hook must be enabled when any MicroVM lifecycle hook (run, resume, suspend, or terminate) is enabled. The ready hook signals when the application has finished initializing so the snapshot is taken in a ready state.',
    ],
    ['hooks without a port', { hooks: ready }, 'The hooks port must be specified when any hook is enabled.'],
    [
      'a reserved variable',
      { environmentVariables: { AWS_REGION: 'x' } },
      "Environment variable key 'AWS_REGION' is reserved",
    ],
    [
      'a variable no process can have',
      { environmentVariables: { 'A=B': 'x' } },
      "Environment variable key 'A=B' or its value is invalid",
    ],
    [
      'an unknown version of the managed base',
      { baseImageVersion: '999' },
      `No managed MicroVM Image with arn ${base} and version 999 is available`,
    ],
    [
      'the version as it is echoed',
      { baseImageVersion: '1.0' },
      `No managed MicroVM Image with arn ${base} and version 1.0 is available`,
    ],
    [
      'an unknown connector',
      { egressNetworkConnectors: [managedConnectorArn(region, 'INTERNET_EGRESS').replace('INTERNET', 'NO')] },
      'Unrecognized managed network connector ARN: arn:aws:lambda:us-east-2:aws:network-connector:aws-network-connector:NO_EGRESS',
    ],
    ['a malformed connector', { egressNetworkConnectors: ['nc-1'] }, 'Malformed network connector ARN'],
  ];
  for (const [what, change, message] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(
        () => resolveConfiguration({ ...good, ...change }, limits.aws, region, connectors),
        (error) =>
          error instanceof ServiceError && error.code === 'ValidationException' && error.message === message,
      );
    });
  }

  it('refuses a customer connector that is not there', () => {
    const arn = `arn:aws:lambda:${region}:000000000000:network-connector:nc-1`;
    assert.throws(
      () => resolveConfiguration({ ...good, egressNetworkConnectors: [arn] }, limits.aws, region, connectors),
      { code: 'ResourceNotFoundException', message: `Network connector not found for: ${arn}` },
    );
  });

  it('checks in order: what the artifact is comes before what it needs', () => {
    const input = { ...good, codeArtifact: { uri: 'x' }, resources: [{ minimumMemoryInMiB: 1 }] };
    assert.throws(() => resolveConfiguration(input, limits.aws, region, connectors), /CodeArtifact URI/);
  });

  it('takes any size within bounds when limits are lifted', () => {
    const sized = (minimumMemoryInMiB: number): ImageInput => ({
      ...good,
      resources: [{ minimumMemoryInMiB }],
    });
    assert.equal(
      resolveConfiguration(sized(200), limits.relaxed, region, connectors).minimumMemoryInMiB,
      200,
    );
    assert.throws(
      () => resolveConfiguration(sized(127), limits.relaxed, region, connectors),
      /between 128 and/,
    );
  });

  it('leaves hooks that are not enabled alone', () => {
    const hooks = { microvmHooks: { run: 'DISABLED' }, microvmImageHooks: { ready: 'DISABLED' } } as const;
    assert.deepEqual(resolveConfiguration({ ...good, hooks }, limits.aws, region, connectors).hooks, hooks);
  });
});
