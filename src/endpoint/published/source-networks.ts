import { BlockList, isIP } from 'node:net';

/** Networks from which a published port may be used. */
export interface SourceNetworks {
  allows(address: string): boolean;
}

/**
 * Reads networks such as `10.0.0.0/8`, `2001:db8::/32` or single addresses.
 * @throws {RangeError} naming the first that is none
 */
export function sourceNetworks(networks: readonly string[]): SourceNetworks {
  const list = new BlockList();
  for (const network of networks) {
    const { address, prefix, family } = parseNetwork(network);
    list.addSubnet(address, prefix, family);
  }
  return {
    allows(address) {
      const plain = unmapped(address);
      const family = isIP(plain);
      return family !== 0 && list.check(plain, family === 4 ? 'ipv4' : 'ipv6');
    },
  };
}

function parseNetwork(text: string): { address: string; prefix: number; family: 'ipv4' | 'ipv6' } {
  const [, address = '', given] = /^([0-9a-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(address);
  const bits = version === 4 ? 32 : 128;
  const prefix = given === undefined ? bits : Number(given);
  if (version === 0 || prefix > bits) throw new RangeError(`${text} is not a network such as 10.0.0.0/8`);
  return { address, prefix, family: version === 4 ? 'ipv4' : 'ipv6' };
}

/** A socket of both families shows IPv4 peers as `::ffff:10.0.0.1`. */
function unmapped(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}
