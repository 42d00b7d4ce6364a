import { isIP } from 'node:net';

export const dnsPort = 53;
const highestPort = 65_535;

/**
 * Reads a network such as `10.1.0.0/16` or `fd00::/8`; an address alone is a network of one.
 * @throws {RangeError} it is neither
 */
export function parseNetwork(text: string): { readonly address: string; readonly prefix: number } {
  const [, address = '', digits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const bits = { 0: 0, 4: 32, 6: 128 }[isIP(address)] ?? 0;
  const prefix = digits === undefined ? bits : Number(digits);
  if (bits === 0 || prefix > bits) throw new RangeError(`not a network in CIDR notation: ${text}`);
  return { address, prefix };
}

/** Whether only this machine can reach what listens there. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/**
 * Reads `192.0.2.1`, `192.0.2.1:53`, `2001:db8::1` or `[2001:db8::1]:53`.
 * @throws {RangeError} it is none of these
 */
export function parseAddress(
  text: string,
  defaultPort: number,
): { readonly address: string; readonly port: number } {
  const whole = text.replace(/^\[(.*)\]$/, '$1');
  if (isIP(whole) !== 0) return { address: whole, port: defaultPort };
  const [, bracketed, plain, digits] = /^(?:\[(.+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const address = bracketed ?? plain ?? '';
  const port = Number(digits);
  if (isIP(address) === 0 || port < 1 || port > highestPort) {
    throw new RangeError(`not an address: ${text}`);
  }
  return { address, port };
}
