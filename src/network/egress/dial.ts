import { connect, type Socket } from 'node:net';
import { GuestNetworkError } from '../network-error.ts';

const connectTimeoutMs = 20_000;
/**
 * Bytes that wait for a slow machine before the guest is made to wait. A guest may send them one by one, and each piece
 * costs some hundred bytes besides its own.
 */
export const mostUnsent = 1024;

/**
 * Connects to an address on behalf of a guest.
 * @throws {GuestNetworkError} the errno of the failed connection
 */
export async function dial(address: string, port: number, signal: AbortSignal): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const options = {
    host: address,
    port,
    allowHalfOpen: true,
    noDelay: true,
    writableHighWaterMark: mostUnsent,
  };
  const socket = connect(options);
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
