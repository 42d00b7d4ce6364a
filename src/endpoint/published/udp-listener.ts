import { relayDatagrams } from '../../datagrams/relay.ts';
import type { DatagramChannel, DatagramListener } from '../../model/datagrams.ts';
import type { ListenOptions, PublishedListener } from './tcp-listener.ts';

/**
 * Carries datagrams from a port of the host into a microVM, waking it when it sleeps, and the answers back.
 * @param associate opens the way of one sender into the microVM
 * @param onFailure told why datagrams were dropped, of which their sender learns nothing
 * @throws the port cannot be opened
 */
export async function listenUdp(
  options: ListenOptions,
  associate: (onAnswer: DatagramListener, signal: AbortSignal) => Promise<DatagramChannel>,
  onFailure: (error: unknown) => void,
): Promise<PublishedListener> {
  const { host, port, networks, limits } = options;
  const relay = await relayDatagrams({
    host,
    port,
    limits: limits.datagrams,
    allows: (address) => networks.allows(address),
    open: associate,
    onFailure,
  });
  return { hostPort: relay.port, close: () => relay.close() };
}
