import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError, loadConfig } from '../config.ts';
import { configuredLimits } from './configured-limits.ts';
import { type EndpointLimits, endpointLimits } from './options.ts';

const any = Number.POSITIVE_INFINITY;
const vm = { memoryMib: 1024 } as Parameters<EndpointLimits['perMicrovm']>[0];

function limitsFor(environment: NodeJS.ProcessEnv, flags = {}): EndpointLimits {
  const config = loadConfig({ dataDirectory: '/nowhere', ...flags }, environment);
  return { ...endpointLimits[config.profile], ...configuredLimits(config.profile, config) };
}

test('without options the limits are those of the profile', () => {
  for (const profile of ['relaxed', 'aws'] as const) {
    const { perMicrovm, ...limits } = limitsFor({}, { profile });
    const { perMicrovm: expected, ...rest } = endpointLimits[profile];
    assert.deepEqual(limits, rest);
    assert.deepEqual(perMicrovm(vm), expected(vm));
  }
});

test('bandwidth and times', () => {
  const limits = limitsFor({
    DORMOUSE_ENDPOINT_BANDWIDTH: '0.5',
    DORMOUSE_ENDPOINT_IDLE_TIME: '60',
    DORMOUSE_ENDPOINT_TOTAL_TIME: '2.5',
  });
  assert.deepEqual(
    [limits.bytesPerSecondPerGib, limits.idleTimeoutMs, limits.totalTimeMs],
    [500_000, 60_000, 2500],
  );
  const lifted = limitsFor({}, { profile: 'aws', endpointBandwidth: 0, endpointTotalTime: 0 });
  assert.deepEqual([lifted.bytesPerSecondPerGib, lifted.totalTimeMs], [any, any]);
  assert.throws(() => limitsFor({ DORMOUSE_ENDPOINT_IDLE_TIME: '0' }), ConfigError);
});

test('single limits of a microVM and of a token, the others as the profile has them', () => {
  const limits = limitsFor(
    { DORMOUSE_ENDPOINT_LIMITS: 'connections=50, microvm-connections=20,microvm-rate=off,token-requests=3' },
    { profile: 'aws' },
  );
  assert.equal(limits.connections, 50);
  assert.deepEqual(limits.perMicrovm(vm), { connections: 20, concurrent: 10_000, requestsPerSecond: any });
  assert.deepEqual(limits.perToken, { ...endpointLimits.aws.perToken, concurrent: 3 });
});

test('what is no limit, or no number, is refused by name', () => {
  assert.throws(() => limitsFor({ DORMOUSE_ENDPOINT_LIMITS: 'vm-connections=1' }), {
    name: 'RangeError',
    message: /^there is no limit vm-connections; there are connections, microvm-connections, /,
  });
  for (const text of ['token-rate', 'token-rate=', 'token-rate=many', 'token-rate=-1', 'token-rate=0']) {
    assert.throws(() => limitsFor({ DORMOUSE_ENDPOINT_LIMITS: text }), ConfigError, text);
  }
});
