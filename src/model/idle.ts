import { type Microvm, terminationReasons } from './microvm.ts';

/** What the passage of time asks for, and when; `at` in milliseconds since the epoch. */
export interface Due {
  readonly at: number;
  readonly action: { readonly type: 'suspend' } | { readonly type: 'terminate'; readonly reason: string };
}

/**
 * The next thing time alone will do to a microVM (spec sections 4.1 and 4.4), or undefined for one that is
 * past acting. `lastActivityAt` counts bytes across the endpoint in either direction.
 * @param leaseEndsAt until then a running microVM does not count as idle; an extension
 */
export function nextDue(vm: Microvm, lastActivityAt: number, leaseEndsAt?: number): Due | undefined {
  if (vm.state !== 'RUNNING' && vm.state !== 'SUSPENDED') return undefined;
  const lifetime: Due = {
    at: vm.startedAt + vm.maximumDurationInSeconds * 1000,
    action: { type: 'terminate', reason: terminationReasons.lifetime },
  };
  const policy = policyDue(vm, lastActivityAt, leaseEndsAt);
  return policy !== undefined && policy.at < lifetime.at ? policy : lifetime;
}

/** While a microVM is active this is stored so often, and not with every request. */
export const activityStoredEveryMs = 10_000;

/**
 * When a microVM was last active, as far as a new server can tell: in the doubt it is kept awake too long.
 * @param storedAt what the last server has stored of it
 */
export function recalledActivity(storedAt: number, now: number): number {
  return Math.min(now, storedAt + activityStoredEveryMs);
}

function policyDue(vm: Microvm, lastActivityAt: number, leaseEndsAt = 0): Due | undefined {
  const policy = vm.idlePolicy;
  if (policy === null) return undefined;
  const expire = { type: 'terminate', reason: terminationReasons.lifetime } as const;
  if (vm.state === 'SUSPENDED') {
    const since = vm.suspendedAt ?? vm.startedAt;
    return { at: since + policy.suspendedDurationSeconds * 1000, action: expire };
  }
  const idleAt = Math.max(leaseEndsAt, lastActivityAt + policy.maxIdleDurationSeconds * 1000);
  return { at: idleAt, action: policy.suspendedDurationSeconds === 0 ? expire : { type: 'suspend' } };
}
