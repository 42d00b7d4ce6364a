import { BlockList, isIP } from 'node:net';
import os from 'node:os';
import { parseNetwork } from '../model/network-address.ts';

/** Says where a guest may connect to. Addresses, not names: a name is resolved first, its address judged. */
export interface EgressPolicy {
  allows(address: string, port: number): boolean;
  /** Whether names are resolved for the guest at all. */
  readonly resolvesNames: boolean;
}

/**
 * Address space that is not the public Internet (IANA special-purpose registries): this host, its networks,
 * other guests, cloud metadata services.
 */
const specialRanges: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['::', 96],
  ['::ffff:0:0', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
];

/** The public Internet and nothing else: never this host, also not by its own public addresses. */
export function internetOnly(): EgressPolicy {
  // One list per family: in a common one the IPv4-mapped range would cover all of IPv4.
  const special = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const [address, prefix] of specialRanges) {
    special[family(address)].addSubnet(address, prefix, family(address));
  }
  return {
    resolvesNames: true,
    allows: (address) =>
      isIP(address) !== 0 &&
      !special[family(address)].check(address, family(address)) &&
      !ownAddresses().has(address),
  };
}

/**
 * What another policy allows, and some networks besides: private services that an operator opens to guests.
 * @param networks in CIDR notation, see {@link parseNetwork}
 */
export function andNetworks(policy: EgressPolicy, networks: readonly string[]): EgressPolicy {
  const added = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const network of networks) {
    const { address, prefix } = parseNetwork(network);
    added[family(address)].addSubnet(address, prefix, family(address));
  }
  return {
    resolvesNames: policy.resolvesNames,
    allows: (address, port) =>
      (isIP(address) !== 0 && added[family(address)].check(address, family(address))) ||
      policy.allows(address, port),
  };
}

/** Nothing at all. */
export const noEgress: EgressPolicy = { resolvesNames: false, allows: () => false };

function family(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}

function ownAddresses(): ReadonlySet<string> {
  return new Set(
    Object.values(os.networkInterfaces()).flatMap((addresses) =>
      (addresses ?? []).map((entry) => entry.address),
    ),
  );
}
