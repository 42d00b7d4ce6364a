import type { EgressRules } from '../model/egress-policy.ts';
import { matchesName, matchesPort, type NameRule, type NetworkRule } from '../model/egress-rule.ts';
import { isOwn, isPublic, isWithinSpecial, NetworkSet, networkSet } from './address-space.ts';

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
  const networks = networksOf(rules.allow).map(explicitNetwork);
  const names = namesOf(rules.allow);
  const deniedNetworks = networksOf(rules.deny).map((rule) => ({ rule, range: rangeOf(rule) }));
  const deniedNames = namesOf(rules.deny);
  const openedNetworks = networkSet(opened);
  const named = (all: readonly NameRule[], name: string, port: number): boolean =>
    all.some((rule) => matchesPort(rule, port) && matchesName(rule, name));
  const deniesName = (name: string): boolean =>
    deniedNames.some((rule) => rule.ports === undefined && matchesName(rule, name));

  /** Whether no name is needed to reach an address. */
  const open = (address: string, port: number): boolean =>
    openedNetworks.has(address) ||
    networks.some((allows) => allows(address, port)) ||
    (rules.internet && isPublic(address));

  return {
    judgesNames: names.length + deniedNames.length > 0,
    deniesName,

    allows(address, port, told) {
      const denied =
        deniedNetworks.some(({ rule, range }) => matchesPort(rule, port) && range.has(address)) ||
        told.some((name) => named(deniedNames, name, port));
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

/** A network rule opens what is not public only where it can mean nothing else. */
function explicitNetwork(rule: NetworkRule): (address: string, port: number) => boolean {
  const range = rangeOf(rule);
  const namesOne = rule.prefix === 32;
  const meansSpecial = isWithinSpecial(rule.address, rule.prefix);
  return (address, port) =>
    matchesPort(rule, port) &&
    range.has(address) &&
    (namesOne || (meansSpecial && !isOwn(address)) || isPublic(address));
}

function rangeOf({ address, prefix }: NetworkRule): NetworkSet {
  const range = new NetworkSet();
  range.add(address, prefix);
  return range;
}

function networksOf(rules: EgressRules['allow']): readonly NetworkRule[] {
  return rules.filter((rule) => rule.kind === 'network');
}

function namesOf(rules: EgressRules['allow']): readonly NameRule[] {
  return rules.filter((rule) => rule.kind === 'name');
}
