import { ServiceError } from '../errors.ts';
import type { Clock } from '../model/clock.ts';
import type { Profile } from '../model/limits.ts';

/** Calls per second an operation takes; those left out are not limited. */
export type Rates = Readonly<Record<string, number>>;

/**
 * `aws` has the documented quotas (spec section 11). Those of `relaxed` are far beyond what anyone needs; they hold
 * up a client that has lost its mind. As many calls may come at once, but one at least.
 */
export const ratesOf: Readonly<Record<Profile, Rates>> = {
  relaxed: {
    RunMicrovm: 500,
    ResumeMicrovm: 500,
    SuspendMicrovm: 500,
    TerminateMicrovm: 1000,
    ForkMicrovm: 100,
    CreateMicrovmImage: 50,
    UpdateMicrovmImage: 50,
  },
  aws: {
    RunMicrovm: 5,
    ResumeMicrovm: 5,
    SuspendMicrovm: 2,
    TerminateMicrovm: 10,
    GetMicrovm: 100,
    CreateMicrovmAuthToken: 50,
    CreateMicrovmShellAuthToken: 5,
  },
};

/**
 * The rates of a profile with some replaced.
 * @param changes by operation; null lifts the limit
 * @param operations names of all there are
 * @throws {RangeError} there is no such operation
 */
export function chooseRates(
  profile: Profile,
  changes: Readonly<Record<string, number | null>>,
  operations: ReadonlySet<string>,
): Rates {
  const unknown = Object.keys(changes).find((name) => !operations.has(name));
  if (unknown !== undefined) throw new RangeError(`there is no operation ${unknown} to set the rate of`);
  const rates = Object.entries({ ...ratesOf[profile], ...changes });
  return Object.fromEntries(rates.filter((entry): entry is [string, number] => entry[1] !== null));
}

/** Counts one call, or refuses it. */
export type Throttle = (operation: string) => void;

interface Bucket {
  tokens: number;
  /** Epoch milliseconds. */
  filledAt: number;
}

/** @throws {ServiceError} from the throttle: ThrottlingException with Retry-After (wording unrecorded) */
export function createThrottle(rates: Rates, clock: Pick<Clock, 'now'>): Throttle {
  const buckets = new Map<string, Bucket>();
  return (operation) => {
    const rate = rates[operation];
    if (rate === undefined) return;
    const atOnce = Math.max(1, rate);
    const bucket = buckets.get(operation) ?? { tokens: atOnce, filledAt: clock.now() };
    // A clock that was set back must not fill the bucket when it catches up.
    const now = Math.max(clock.now(), bucket.filledAt);
    const elapsedSeconds = (now - bucket.filledAt) / 1000;
    const tokens = Math.min(atOnce, bucket.tokens + elapsedSeconds * rate);
    buckets.set(operation, { tokens: tokens < 1 ? tokens : tokens - 1, filledAt: now });
    if (tokens < 1) {
      throw new ServiceError('ThrottlingException', 'Rate exceeded', {
        members: { serviceCode: null, quotaCode: null },
        retryAfterSeconds: (1 - tokens) / rate,
      });
    }
  };
}
