import { matchesGlob } from './glob.ts';

/** Values of the condition keys of one request by canonical name; a key the request does not have is absent. */
export type ConditionContext = ReadonlyMap<string, readonly string[]>;

/** How the values of a key with several of them are judged; one matching value does for a plain operator. */
export type Quantifier = 'plain' | 'all' | 'any';

export interface Condition {
  readonly operator: ConditionOperator;
  readonly quantifier: Quantifier;
  /** `…IfExists`: holds for a request without the key. */
  readonly ifExists: boolean;
  /** Canonical name. */
  readonly key: string;
  readonly values: readonly string[];
}

type Matcher = (wanted: string, actual: string) => boolean;

const equals: Matcher = (wanted, actual) => wanted === actual;
const equalsIgnoringCase: Matcher = (wanted, actual) => wanted.toLowerCase() === actual.toLowerCase();

/** Operators that compare values; `negated` ones hold where none of the wanted values matches. */
const comparisons = {
  StringEquals: { matches: equals, negated: false },
  StringNotEquals: { matches: equals, negated: true },
  StringEqualsIgnoreCase: { matches: equalsIgnoringCase, negated: false },
  StringNotEqualsIgnoreCase: { matches: equalsIgnoringCase, negated: true },
  StringLike: { matches: matchesGlob, negated: false },
  StringNotLike: { matches: matchesGlob, negated: true },
  ArnEquals: { matches: matchesGlob, negated: false },
  ArnNotEquals: { matches: matchesGlob, negated: true },
  ArnLike: { matches: matchesGlob, negated: false },
  ArnNotLike: { matches: matchesGlob, negated: true },
  Bool: { matches: equalsIgnoringCase, negated: false },
} as const satisfies Readonly<Record<string, { readonly matches: Matcher; readonly negated: boolean }>>;

export type ConditionOperator = keyof typeof comparisons | 'Null';

export const conditionOperators: readonly string[] = [...Object.keys(comparisons), 'Null'];

export function isConditionOperator(name: string): name is ConditionOperator {
  return conditionOperators.includes(name);
}

const plainKeys = ['aws:PrincipalArn', 'aws:TagKeys'] as const;
const tagPrefixes = ['aws:RequestTag/', 'aws:ResourceTag/'] as const;

/**
 * The one spelling of a condition key, whose case does not matter except in the name of a tag; undefined for a
 * key no request has.
 */
export function canonicalConditionKey(key: string): string | undefined {
  const lower = key.toLowerCase();
  const plain = plainKeys.find((known) => known.toLowerCase() === lower);
  if (plain !== undefined) return plain;
  const prefix = tagPrefixes.find((known) => lower.startsWith(known.toLowerCase()));
  return prefix === undefined || key.length === prefix.length
    ? undefined
    : `${prefix}${key.slice(prefix.length)}`;
}

export function holds(condition: Condition, context: ConditionContext): boolean {
  const { operator, quantifier, ifExists, values } = condition;
  const actual = context.get(condition.key) ?? [];
  if (operator === 'Null') return values.includes(String(actual.length === 0));
  if (actual.length === 0 && ifExists) return true;
  const { matches, negated } = comparisons[operator];
  const accepts = (value: string): boolean => values.some((wanted) => matches(wanted, value)) !== negated;
  switch (quantifier) {
    case 'all':
      return actual.every(accepts);
    case 'any':
      return actual.some(accepts);
    case 'plain':
      // A request without the key equals nothing, so a negated operator holds.
      return negated ? actual.every(accepts) : actual.some(accepts);
  }
}
