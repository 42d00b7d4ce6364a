import { isIPv4 } from 'node:net';
import type { EgressRules } from '../../model/egress-policy.ts';
import { matchesName, matchesPort, type NameRule, type NetworkRule } from '../../model/egress-rule.ts';
import { isOwn, isPublic, isWithinSpecial, networkSet } from './address-space.ts';

/** Says what a guest reaches: addresses when they are connected to, names when they are looked up. */
export interface EgressPolicy {
  /** @param names those that the guest has been told the address for */
  allows(address: string, port: number, names: readonly string[]): boolean;
  /** Whether a name is looked up; undefined stands for what is no plain question for one name. */
  resolves(name: string | undefined): boolean;
  /** Whether a name is denied, whatever else is allowed. */
  deniesName(name: string): boolean;
  /**
   * Whether a connection that {@link allows} has let pass may be one over TLS to this server.
   * @param name what the client calls the server; undefined when it does not say
   */
  allowsServer(address: string, port: number, name: string | undefined): boolean;
  /** Whether it matters which names a guest was told an address for. */
  readonly judgesNames: boolean;
}

/**
 * The policy that rules make. A denial beats everything. Address space that is not public, and this host's own
 * addresses, are open only to a rule that names them: names that resolve there open nothing.
 * @param opened networks that are open besides, in CIDR notation; of this host's addresses too
 */
export function createEgressPolicy(rules: EgressRules, opened: readonly string[] = []): EgressPolicy {
  const networks = networksOf(rules.allow).map(explicitRange);
  const names = namesOf(rules.allow);
  const deniedNetworks = networksOf(rules.deny).map((rule) => rangeOf(rule));
  const deniedNames = namesOf(rules.deny);
  const openedNetworks = networkSet(opened);
  const named = (all: readonly NameRule[], name: string, port: number): boolean =>
    all.some((rule) => matchesPort(rule, port) && matchesName(rule, name));
  const deniesName = (name: string): boolean =>
    deniedNames.some((rule) => rule.ports === undefined && matchesName(rule, name));

  /** Whether no name is needed to reach an address. */
  const open = (address: string, port: number): boolean =>
    openedNetworks.has(address) || includes(networks, address, port) || (rules.internet && isPublic(address));

  return {
    judgesNames: names.length + deniedNames.length > 0,
    deniesName,

    allows(address, port, told) {
      const denied =
        includes(deniedNetworks, address, port) || told.some((name) => named(deniedNames, name, port));
      if (denied) return false;
      return open(address, port) || (isPublic(address) && told.some((name) => named(names, name, port)));
    },

    allowsServer(address, port, name) {
      if (name !== undefined && named(deniedNames, name, port)) return false;
      return open(address, port) || (name !== undefined && named(names, name, port));
    },

    resolves(name) {
      if (name === undefined) return rules.internet && deniedNames.length === 0;
      if (deniesName(name)) return false;
      return rules.internet || names.some((rule) => matchesName(rule, name));
    },
  };
}

/** A network in numbers: policies have many, and each connection is held against all. */
interface Range {
  readonly rule: NetworkRule;
  readonly base: number;
  readonly mask: number;
  /** What more an address of the network has to be. */
  readonly admits: (address: string) => boolean;
}

function rangeOf(rule: NetworkRule, admits: (address: string) => boolean = () => true): Range {
  const mask = rule.prefix === 0 ? 0 : (-1 << (32 - rule.prefix)) >>> 0;
  return { rule, base: (numberOf(rule.address) & mask) >>> 0, mask, admits };
}

/** A network rule opens what is not public only where it can mean nothing else. */
function explicitRange(rule: NetworkRule): Range {
  const meansSpecial = isWithinSpecial(rule.address, rule.prefix);
  return rangeOf(
    rule,
    (address) => rule.prefix === 32 || (meansSpecial && !isOwn(address)) || isPublic(address),
  );
}

function includes(ranges: readonly Range[], address: string, port: number): boolean {
  if (ranges.length === 0 || !isIPv4(address)) return false;
  const number = numberOf(address);
  return ranges.some(
    ({ rule, base, mask, admits }) =>
      (number & mask) >>> 0 === base && matchesPort(rule, port) && admits(address),
  );
}

function numberOf(address: string): number {
  return address.split('.').reduce((number, part) => number * 256 + Number(part), 0);
}

function networksOf(rules: EgressRules['allow']): readonly NetworkRule[] {
  return rules.filter((rule) => rule.kind === 'network');
}

function namesOf(rules: EgressRules['allow']): readonly NameRule[] {
  return rules.filter((rule) => rule.kind === 'name');
}
