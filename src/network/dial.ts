import { connect, type Socket } from 'node:net';
import type { EgressPolicy } from './egress-policy.ts';
import { GuestNetworkError } from './network-error.ts';

/** What a guest is told whose policy does not allow an address. */
export const refusedByPolicy = 'EACCES';
const connectTimeoutMs = 20_000;

/**
 * Connects to an address on behalf of a guest, if the policy lets it.
 * @throws {GuestNetworkError} refused by policy (`EACCES`), or the errno of the failed connection
 */
export async function dial(
  policy: EgressPolicy,
  address: string,
  port: number,
  signal: AbortSignal,
): Promise<Socket> {
  if (!policy.allows(address, port)) {
    throw new GuestNetworkError(refusedByPolicy, `the egress policy does not allow ${address}`);
  }
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect({ host: address, port, allowHalfOpen: true, noDelay: true });
  socket.setTimeout(connectTimeoutMs, () =>
    socket.destroy(new GuestNetworkError('ETIMEDOUT', `${address} did not answer`)),
  );
  const onAbort = (): void => void socket.destroy(new GuestNetworkError('ECONNABORTED', 'the guest gave up'));
  signal.addEventListener('abort', onAbort, { once: true });
  socket.once('connect', () => resolve(socket));
  socket.once('error', (error: NodeJS.ErrnoException) =>
    reject(
      error instanceof GuestNetworkError
        ? error
        : new GuestNetworkError(
            error.code ?? 'ECONNREFUSED',
            `cannot connect to ${address}: ${error.message}`,
          ),
    ),
  );
  try {
    const connected = await promise;
    connected.setTimeout(0);
    connected.removeAllListeners('timeout');
    return connected;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
