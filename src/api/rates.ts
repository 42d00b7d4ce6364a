import { ServiceError } from '../errors.ts';
import type { Clock } from '../model/clock.ts';
import type { Profile } from '../model/limits.ts';

/** Calls per second an operation takes; those left out are not limited. */
export type Rates = Readonly<Record<string, number>>;

/** Documented quotas (spec section 11); as many calls may come at once. */
export const ratesOf: Readonly<Record<Profile, Rates>> = {
  relaxed: {},
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
    const bucket = buckets.get(operation) ?? { tokens: rate, filledAt: clock.now() };
    // A clock that was set back must not fill the bucket when it catches up.
    const now = Math.max(clock.now(), bucket.filledAt);
    const elapsedSeconds = (now - bucket.filledAt) / 1000;
    const tokens = Math.min(rate, bucket.tokens + elapsedSeconds * rate);
    buckets.set(operation, { tokens: tokens < 1 ? tokens : tokens - 1, filledAt: now });
    if (tokens < 1) {
      throw new ServiceError('ThrottlingException', 'Rate exceeded', {
        members: { serviceCode: null, quotaCode: null },
        retryAfterSeconds: (1 - tokens) / rate,
      });
    }
  };
}
