import { evaluate, type Permissions } from '../../model/policy.ts';
import type { ConditionContext } from '../../model/policy-condition.ts';
import type { Principal } from '../sigv4/credentials.ts';

/** Whose request it is, and what that one may do. */
export interface Caller {
  readonly principal: Principal;
  readonly permissions: Permissions;
}

type Tags = Readonly<Record<string, string>>;

/** One thing a request has to be allowed. */
export interface Requirement {
  /** Such as `lambda:RunMicrovm`. */
  readonly action: string;
  /** An ARN, or `*`. */
  readonly resource: string;
  readonly resourceTags?: Tags | undefined;
  readonly requestTags?: Tags | undefined;
  /** Keys of the tags that the request names, with values or without. */
  readonly tagKeys?: readonly string[] | undefined;
}

export interface Denial {
  readonly action: string;
  readonly resource: string;
  /** Why, as it ends the sentence that tells of the denial (spec section 1.5). */
  readonly reason: string;
}

/** The first requirement that the caller's policy does not allow. */
export function findDenial(caller: Caller, requirements: readonly Requirement[]): Denial | undefined {
  const { permissions, principal } = caller;
  if (permissions === 'all') return undefined;
  for (const requirement of requirements) {
    const { action, resource } = requirement;
    const decision = evaluate(permissions, { action, resource, context: contextOf(requirement, principal) });
    if (decision === 'denied') {
      return { action, resource, reason: notAllowed(action) };
    }
    if (decision === 'explicitly-denied') {
      return { action, resource, reason: 'with an explicit deny in an identity-based policy' };
    }
  }
  return undefined;
}

/** The reason of a denial that no statement asks for. */
export function notAllowed(action: string): string {
  return `because no identity-based policy allows the ${action} action`;
}

function contextOf(requirement: Requirement, principal: Principal): ConditionContext {
  const { resourceTags = {}, requestTags = {}, tagKeys = [] } = requirement;
  return new Map<string, readonly string[]>([
    ['aws:PrincipalArn', [principal.arn]],
    ['aws:TagKeys', tagKeys],
    ...tagEntries('aws:ResourceTag/', resourceTags),
    ...tagEntries('aws:RequestTag/', requestTags),
  ]);
}

function tagEntries(prefix: string, tags: Tags): (readonly [string, readonly string[]])[] {
  return Object.entries(tags).map(([key, value]) => [prefix + key, [value]] as const);
}
