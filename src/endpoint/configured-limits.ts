import type { Config } from '../config.ts';
import { type EndpointLimits, endpointLimits, type TrafficLimits } from './options.ts';

type LimitOptions = Pick<
  Config,
  'endpointBandwidth' | 'endpointIdleTime' | 'endpointTotalTime' | 'endpointLimits'
>;

const parties = ['microvm', 'token'] as const;
const kinds = { connections: 'connections', requests: 'concurrent', rate: 'requestsPerSecond' } as const;

/** Names of the limits that an operator can set. */
export const limitNames: readonly string[] = [
  'connections',
  ...parties.flatMap((party) => Object.keys(kinds).map((kind) => `${party}-${kind}`)),
];

/**
 * The limits of a profile that an operator has replaced.
 * @throws {RangeError} there is no such limit
 */
export function configuredLimits(
  profile: Config['profile'],
  { endpointBandwidth, endpointTotalTime, endpointIdleTime, endpointLimits: chosen }: LimitOptions,
): Partial<EndpointLimits> {
  const unknown = Object.keys(chosen).find((name) => !limitNames.includes(name));
  if (unknown !== undefined) {
    throw new RangeError(`there is no limit ${unknown}; there are ${limitNames.join(', ')}`);
  }
  const { connections, perToken, perMicrovm } = endpointLimits[profile];
  const ofMicrovm = replacements('microvm', chosen);
  return {
    idleTimeoutMs: endpointIdleTime * 1000,
    totalTimeMs: endpointTotalTime === 0 ? Number.POSITIVE_INFINITY : endpointTotalTime * 1000,
    ...(endpointBandwidth === undefined ? {} : { bytesPerSecondPerGib: bytesPerSecond(endpointBandwidth) }),
    connections: chosen.connections === undefined ? connections : numberOf(chosen.connections),
    perToken: { ...perToken, ...replacements('token', chosen) },
    ...(Object.keys(ofMicrovm).length === 0
      ? {}
      : { perMicrovm: (vm) => ({ ...perMicrovm(vm), ...ofMicrovm }) }),
  };
}

function replacements(
  party: (typeof parties)[number],
  chosen: Config['endpointLimits'],
): Partial<TrafficLimits> {
  const replaced = Object.entries(kinds).flatMap(([kind, limit]) => {
    const value = chosen[`${party}-${kind}`];
    return value === undefined ? [] : [[limit, numberOf(value)] as const];
  });
  return Object.fromEntries(replaced);
}

function numberOf(chosen: number | null): number {
  return chosen ?? Number.POSITIVE_INFINITY;
}

function bytesPerSecond(megabytes: number): number {
  return megabytes === 0 ? Number.POSITIVE_INFINITY : megabytes * 1e6;
}
