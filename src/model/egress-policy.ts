import { type EgressRule, parseEgressRule } from './egress-rule.ts';

/** What an egress policy says, as its author wrote it. */
export interface EgressPolicyDocument {
  /** Rules as {@link parseEgressRule} takes them. */
  readonly allow: readonly string[];
  /** What no rule of this or of another policy opens. */
  readonly deny: readonly string[];
  /** `allow`: the rest of the public Internet is open, too. */
  readonly default: 'allow' | 'deny';
}

/** A policy as it is kept. Its name is a subnet or security group id, by which connectors refer to it. */
export interface NamedEgressPolicy extends EgressPolicyDocument {
  readonly name: string;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** Most rules of one policy. */
export const mostEgressRules = 256;

export interface EgressRules {
  readonly allow: readonly EgressRule[];
  readonly deny: readonly EgressRule[];
  readonly internet: boolean;
}

/** @throws {RangeError} a rule is none; the message says which and why */
export function readEgressPolicy(document: EgressPolicyDocument): EgressRules {
  return {
    allow: document.allow.map(parseEgressRule),
    deny: document.deny.map(parseEgressRule),
    internet: document.default === 'allow',
  };
}

/** Rules that apply together: what any opens is open, unless one of them denies it. */
export function uniteRules(all: readonly EgressRules[]): EgressRules {
  return {
    allow: all.flatMap(({ allow }) => allow),
    deny: all.flatMap(({ deny }) => deny),
    internet: all.some(({ internet }) => internet),
  };
}
