import { BlockList, isIP } from 'node:net';
import os from 'node:os';
import { parseNetwork } from '../../model/network-address.ts';

/**
 * Address space that is not the public Internet (IANA's special-purpose registries): this host, its networks,
 * other guests, cloud metadata services. Of IPv6 only 2000::/3 is given out, and within that some is special.
 */
const specialRanges: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  // Azure's metadata, name and health service; an address of the Internet everywhere else, and unused there.
  ['168.63.129.16', 32],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.31.196.0', 24],
  ['192.52.193.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['192.175.48.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['::', 3],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['2620:4f:8000::', 48],
  ['3fff::', 20],
  ['4000::', 2],
  ['8000::', 1],
];

/** A set of networks of both families. */
export class NetworkSet {
  // One list per family: in a common one the IPv4-mapped range would cover all of IPv4.
  readonly #lists = { ipv4: new BlockList(), ipv6: new BlockList() };

  add(address: string, prefix: number): void {
    this.#lists[family(address)].addSubnet(address, prefix, family(address));
  }

  has(address: string): boolean {
    return isIP(address) !== 0 && this.#lists[family(address)].check(address, family(address));
  }
}

/** @param networks in CIDR notation, see {@link parseNetwork} */
export function networkSet(networks: readonly string[]): NetworkSet {
  const set = new NetworkSet();
  for (const { address, prefix } of networks.map(parseNetwork)) set.add(address, prefix);
  return set;
}

/** Each by itself, and all together. */
const ranges = specialRanges.map(([address, prefix]) => ({
  prefix,
  set: networkSet([`${address}/${prefix}`]),
}));
const special = networkSet(specialRanges.map(([address, prefix]) => `${address}/${prefix}`));

/** Whether an address is of the public Internet and not this host's own. */
export function isPublic(address: string): boolean {
  return isIP(address) !== 0 && !special.has(address) && !isOwn(address);
}

/** Whether it is an address of this host. */
export function isOwn(address: string): boolean {
  return Object.values(os.networkInterfaces()).some((entries) =>
    entries?.some((entry) => entry.address === address),
  );
}

/** Whether a network lies in address space that is not public: whoever names it means that. */
export function isWithinSpecial(address: string, prefix: number): boolean {
  return ranges.some((range) => range.prefix <= prefix && range.set.has(address));
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}
