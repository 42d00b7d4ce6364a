import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resolveAppSpec } from './app-spec.ts';
import { BuildFailure } from './build-failure.ts';
import { parseContainerConfig } from './container-config.ts';

function inspected(config: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ OCIv1: { config } });
}

describe('parseContainerConfig', () => {
  it('puts CMD behind ENTRYPOINT', () => {
    const config = inspected({
      User: 'app',
      Env: ['PATH=/bin', 'EMPTY=', 'EQUALS=a=b', 'BARE'],
      Entrypoint: ['/entry', '-x'],
      Cmd: ['serve'],
      WorkingDir: '/app',
    });
    assert.deepEqual(parseContainerConfig(config), {
      argv: ['/entry', '-x', 'serve'],
      env: { PATH: '/bin', EMPTY: '', EQUALS: 'a=b', BARE: '' },
      workdir: '/app',
      user: 'app',
      exposed: [],
      labels: {},
    });
  });

  it('fills in what the image leaves out', () => {
    const config = parseContainerConfig(inspected({ Cmd: ['sh'], Env: null }));
    assert.deepEqual(config, { argv: ['sh'], env: {}, workdir: '/', user: '', exposed: [], labels: {} });
  });

  it('reads exposed TCP ports and labels', () => {
    const ExposedPorts = { '9000/tcp': {}, '80': {}, '53/udp': {}, '8000-8100/tcp': {}, nonsense: {} };
    const config = parseContainerConfig(inspected({ Cmd: ['sh'], ExposedPorts, Labels: { a: 'b' } }));
    assert.deepEqual([config.exposed, config.labels], [[80, 9000], { a: 'b' }]);
  });

  it('reads the HEALTHCHECK, run by the shell of the image where it is a line', () => {
    const read = (Healthcheck: object) =>
      parseContainerConfig(
        JSON.stringify({
          OCIv1: { config: { Cmd: ['sh'] } },
          Docker: { config: { Healthcheck, Shell: ['/bin/bash', '-c'] } },
        }),
      ).healthcheck;
    assert.deepEqual(read({ Test: ['CMD-SHELL', 'curl -f localhost'], Interval: 2e9, Timeout: 1e9 }), {
      argv: ['/bin/bash', '-c', 'curl -f localhost'],
      intervalMs: 2000,
      timeoutMs: 1000,
    });
    assert.deepEqual(read({ Test: ['CMD', 'check', '-x'], Interval: 3600e9 }), {
      argv: ['check', '-x'],
      intervalMs: 5000,
      timeoutMs: 30_000,
    });
    assert.equal(read({ Test: ['NONE'] }), undefined);
  });

  it('refuses an image without a command', () => {
    assert.throws(() => parseContainerConfig(inspected({ Entrypoint: null })), BuildFailure);
    assert.throws(() => parseContainerConfig(JSON.stringify({ OCIv1: {} })), BuildFailure);
  });
});

describe('resolveAppSpec', () => {
  const source = {
    container: {
      argv: ['run'],
      env: { A: 'image', B: 'image', HOME: '/srv' },
      workdir: '/',
      user: '',
      exposed: [],
      labels: {},
    },
    account: { uid: 1, gid: 2, supplementaryGids: [3], home: '/home/x' },
    imageName: 'web',
    region: 'eu-west-1',
  };
  const configuration = {
    baseImageArn: 'arn:aws:lambda:eu-west-1:aws:microvm-image:al2023-1',
    baseImageVersion: '1.0',
    buildRoleArn: 'arn:aws:iam::000000000000:role/build',
    description: null,
    codeArtifact: { uri: 's3://bucket/key' },
    logging: null,
    egressNetworkConnectors: [],
    cpuConfigurations: null,
    minimumMemoryInMiB: 256,
    additionalOsCapabilities: null,
    hooks: null,
    environmentVariables: { B: 'configuration', PATH: '/opt' },
  };
  const imageArn = 'arn:aws:lambda:eu-west-1:000000000000:microvm-image:web';

  it('layers the environment: defaults, Dockerfile, configuration, injected variables', () => {
    const spec = resolveAppSpec({ ...source, version: { imageArn, imageVersion: '2.0', configuration } });
    assert.deepEqual(spec.env, {
      PATH: '/opt',
      HOME: '/srv',
      A: 'image',
      B: 'configuration',
      AWS_REGION: 'eu-west-1',
      AWS_LAMBDA_MICROVM_IMAGE_ARN: imageArn,
      AWS_LAMBDA_MICROVM_IMAGE_NAME: 'web',
      AWS_LAMBDA_MICROVM_IMAGE_VERSION: '2.0',
    });
    assert.equal(spec.capabilities, 'default');
  });

  it('gives every capability only when asked', () => {
    const all = { ...configuration, additionalOsCapabilities: ['ALL'] as const };
    const spec = resolveAppSpec({
      ...source,
      version: { imageArn, imageVersion: '1.0', configuration: all },
    });
    assert.equal(spec.capabilities, 'all');
  });
});
