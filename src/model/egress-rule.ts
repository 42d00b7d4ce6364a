import { isIPv4, isIPv6 } from 'node:net';
import { parseNetwork } from './network-address.ts';

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

interface Ports {
  /** Undefined for all. */
  readonly ports: readonly PortRange[] | undefined;
}

export interface NetworkRule extends Ports {
  readonly kind: 'network';
  readonly address: string;
  readonly prefix: number;
}

export interface NameRule extends Ports {
  readonly kind: 'name';
  /** Lower case, without the dot at the end; empty for any name. */
  readonly name: string;
  /** Whether the names below it are meant, at any depth, instead of itself. */
  readonly below: boolean;
}

/** What one line of an egress policy speaks of: machines by address or by name, and their ports. */
export type EgressRule = NetworkRule | NameRule;

const highestPort = 65_535;
const longestName = 253;
const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/**
 * Reads a rule: `10.1.0.0/16`, `192.0.2.7:5432`, `example.com`, `*.example.com:443,8000-8999`, `*:443`.
 * @throws {RangeError} it is none; the message says what is wrong
 */
export function parseEgressRule(text: string): EgressRule {
  const colon = text.indexOf(':');
  if (text.startsWith('[') || isIPv6(text.split('/')[0] ?? '')) {
    throw new RangeError(`${quoted(text)}: microVMs reach IPv4 addresses only`);
  }
  const target = colon === -1 ? text : text.slice(0, colon);
  const ports = colon === -1 ? undefined : readPorts(text.slice(colon + 1), text);
  if (/^[\d./]+$/.test(target)) return readNetwork(target, ports, text);
  return readName(target.toLowerCase(), ports, text);
}

export function matchesPort({ ports }: Ports, port: number): boolean {
  return ports === undefined || ports.some(({ first, last }) => port >= first && port <= last);
}

/** @param name lower case, without the dot at the end */
export function matchesName(rule: NameRule, name: string): boolean {
  if (!rule.below) return name === rule.name;
  return rule.name === '' || name.endsWith(`.${rule.name}`);
}

function readNetwork(target: string, ports: Ports['ports'], text: string): NetworkRule {
  const [address = ''] = target.split('/');
  if (!isIPv4(address)) throw new RangeError(`${quoted(text)}: not an IPv4 address or network`);
  try {
    return { kind: 'network', ...parseNetwork(target), ports };
  } catch {
    throw new RangeError(`${quoted(text)}: not a network in CIDR notation`);
  }
}

function readName(target: string, ports: Ports['ports'], text: string): NameRule {
  if (target === '*') return { kind: 'name', name: '', below: true, ports };
  const below = target.startsWith('*.');
  const name = target.slice(below ? 2 : 0).replace(/\.$/, '');
  if (name.includes('*')) {
    throw new RangeError(`${quoted(text)}: "*" stands for whole names below a domain, as in *.example.com`);
  }
  if (name.length > longestName || !name.split('.').every((part) => label.test(part))) {
    throw new RangeError(
      `${quoted(text)}: not a domain name, address or network; names beyond ASCII are given as xn--…`,
    );
  }
  return { kind: 'name', name, below, ports };
}

function readPorts(text: string, rule: string): readonly PortRange[] {
  return text.split(',').map((item) => {
    const [, low, high = low] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(item.trim()) ?? [];
    const [first, last] = [Number(low), Number(high)];
    if (!(first >= 1 && first <= last && last <= highestPort)) {
      throw new RangeError(`${quoted(rule)}: ports are given as 443, 8000-8999 or 80,443`);
    }
    return { first, last };
  });
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}
