import { matchesGlob } from './glob.ts';
import { type Condition, type ConditionContext, holds } from './policy-condition.ts';

/** A list of patterns, or with `except` everything but what they match. */
export interface Selection {
  readonly except: boolean;
  readonly patterns: readonly string[];
}

export interface Statement {
  readonly effect: 'Allow' | 'Deny';
  readonly actions: Selection;
  readonly resources: Selection;
  /** All have to hold. */
  readonly conditions: readonly Condition[];
}

/** What an identity may do; made of a document by `parsePolicy`. */
export interface Policy {
  readonly statements: readonly Statement[];
}

/** `all` is the root key's: nothing is evaluated. */
export type Permissions = 'all' | Policy;

export interface AccessRequest {
  /** Such as `lambda:RunMicrovm`. */
  readonly action: string;
  /** An ARN, or `*` for an action on nothing in particular. */
  readonly resource: string;
  readonly context: ConditionContext;
}

export type Decision = 'allowed' | 'denied' | 'explicitly-denied';

/** Nothing is allowed but by a statement, and a statement that denies beats every one that allows. */
export function evaluate(policy: Policy, request: AccessRequest): Decision {
  const applying = policy.statements.filter((statement) => applies(statement, request));
  if (applying.some(({ effect }) => effect === 'Deny')) return 'explicitly-denied';
  return applying.length > 0 ? 'allowed' : 'denied';
}

function applies({ actions, resources, conditions }: Statement, request: AccessRequest): boolean {
  const action = request.action.toLowerCase();
  return (
    selects(actions, (pattern) => matchesGlob(pattern.toLowerCase(), action)) &&
    selects(resources, (pattern) => matchesGlob(pattern, request.resource)) &&
    conditions.every((condition) => holds(condition, request.context))
  );
}

function selects({ except, patterns }: Selection, matches: (pattern: string) => boolean): boolean {
  return patterns.some(matches) !== except;
}
