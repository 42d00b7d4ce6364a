import { isIP } from 'node:net';
import { hostname } from 'node:os';

/**
 * Whether a request that nobody signed may be meant for this server. A page of a stranger can let a name of its own
 * lead here (DNS rebinding) and then read what it gets, but the browser says that name. A signature covers the name,
 * so what is signed need not be asked.
 * @param host of the request; browsers never leave it out
 * @param names that the server is given, besides addresses, names of this machine, and names that are no domain's
 */
export function mayName(host: string | undefined, names: readonly string[]): boolean {
  if (host === undefined) return true;
  const name = host
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
    .toLowerCase();
  if (isIP(name) !== 0 || !name.includes('.') || name.endsWith('.localhost')) return true;
  return name === hostname().toLowerCase() || names.includes(name);
}
