import { type Limits, limits } from '../../model/limits.ts';
import type { Api } from '../operation.ts';
import { type Rates, ratesOf } from '../rates.ts';

/** One quota of the service, with the code that clients know it by (spec section 11; names unrecorded). */
export interface Quota {
  readonly code: string;
  readonly name: string;
  readonly unit: 'None' | 'Gigabytes' | 'Seconds';
  readonly adjustable: boolean;
  /** Undefined where there is no limit. */
  readonly valueOf: (rates: Rates, of: Limits) => number | undefined;
}

export const serviceCode = 'lambda';

export const quotas: readonly Quota[] = [
  rate('L-535CA9B6', 'RunMicrovm'),
  rate('L-90045317', 'SuspendMicrovm'),
  rate('L-118C44B3', 'ResumeMicrovm'),
  rate('L-74787B8A', 'TerminateMicrovm'),
  {
    code: 'L-CD1C0CC4',
    name: 'MicroVM allocated memory',
    unit: 'Gigabytes',
    adjustable: true,
    valueOf: (_rates, { accountMemoryMib }) => accountMemoryMib / 1024,
  },
  {
    code: 'L-B430C318',
    name: 'MicroVM maximum duration',
    unit: 'Seconds',
    adjustable: false,
    valueOf: (_rates, { maximumLifetimeSeconds }) => maximumLifetimeSeconds,
  },
];

/** What is held here. */
export function appliedValue(quota: Quota, { options, limits: held }: Api): number | undefined {
  return quota.valueOf(options.rates ?? ratesOf[options.profile], held);
}

/** What the service gives everybody. */
export function defaultValue(quota: Quota): number | undefined {
  return quota.valueOf(ratesOf.aws, limits.aws);
}

function rate(code: string, operation: string): Quota {
  return {
    code,
    name: `Rate of ${operation} requests per second`,
    unit: 'None',
    adjustable: true,
    valueOf: (rates) => rates[operation],
  };
}
