import { framedChannel } from '../datagrams/framed-channel.ts';
import type { DatagramChannel } from '../model/datagrams.ts';
import { type Admission, checkPort, parsePort } from './admission.ts';
import { requestIdHeader } from './headers.ts';
import { RefusedError, refusals } from './refusals.ts';
import type { ShapedDialer } from './shaping/shaping.ts';
import { splice } from './splice.ts';
import type { UpgradeClient } from './upgrade-client.ts';
import type { Target } from './upstreams.ts';

/** Upgrade tokens and path of a tunnel to a TCP or UDP port of the microVM; an extension. */
const protocols: ReadonlySet<string | undefined> = new Set(['dormouse-tcp', 'dormouse-udp']);
const tunnelPath = '/dormouse/v1/tunnel';

export function isTunnel(protocol: string | undefined): boolean {
  return protocols.has(protocol);
}

/** @throws {RefusedError} */
export function tunnelPort(path: string, admission: Admission): number {
  const [pathname, query] = path.split('?', 2);
  if (pathname !== tunnelPath) throw new RefusedError(refusals.malformedUpgrade);
  return checkPort(admission, parsePort(new URLSearchParams(query).get('port') ?? ''));
}

/**
 * Carries bytes, or datagrams each behind its length, between a client and a port of the microVM.
 * @throws {RefusedError} the microVM cannot be reached
 */
export async function serveTunnel(
  client: UpgradeClient,
  { vm, port }: Target,
  requestId: string,
  dialer: ShapedDialer,
): Promise<void> {
  const left = client.exchange.left.signal;
  const protocol = client.protocol ?? '';
  const head = ['connection', 'upgrade', 'upgrade', protocol, requestIdHeader, requestId];
  if (protocol === 'dormouse-tcp') {
    const connection = await dialer.connect(vm, port, left);
    splice(client.accept(head), connection);
    return;
  }
  let outside: DatagramChannel | undefined;
  const answer = (datagram: Buffer): void => void outside?.send(datagram);
  const inside = await dialer.associate(vm.microvmId, port, answer, left);
  outside = framedChannel(client.accept(head), (datagram) => void inside.send(datagram));
  void outside.closed.then(() => inside.close());
  void inside.closed.then(() => outside.close());
}
