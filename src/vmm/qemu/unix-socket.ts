import { open } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const retryMs = 2;
/** How long a listener may leave its queue full. */
const crowdedMs = 10_000;

/** Whether a connection failed because nobody listens there, yet or any more. */
export function refusesConnections(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ECONNREFUSED')
  );
}

/**
 * Connects to a Unix socket however long its path is: the kernel allows 107 bytes, which a data directory
 * deep in a file system exceeds, so the directory is named by a descriptor.
 * Waits for a moment where too many wait already: QEMU lets two, and takes them on when its loop comes round.
 * @throws the system's error, with its `code`
 */
export async function connectUnix(socket: string): Promise<net.Socket> {
  const deadline = performance.now() + crowdedMs;
  for (;;) {
    try {
      return await connectOnce(socket);
    } catch (error) {
      if (!isCrowded(error) || performance.now() > deadline) throw error;
    }
    await delay(retryMs);
  }
}

function isCrowded(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EAGAIN';
}

async function connectOnce(socket: string): Promise<net.Socket> {
  const directory = await open(path.dirname(socket), 'r');
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const connection = net.connect(`/proc/self/fd/${directory.fd}/${path.basename(socket)}`);
  // Stays, so that a VMM that is killed before anyone else listens costs no more than this connection.
  connection.on('error', reject);
  connection.once('connect', resolve);
  try {
    await promise;
  } finally {
    await directory.close();
  }
  if (connection.errored !== null) throw connection.errored;
  return connection;
}

/**
 * Connects as soon as a process that is just starting listens.
 * @param signal ends the waiting; its reason is thrown
 */
export async function connectUnixWhenReady(socket: string, signal: AbortSignal): Promise<net.Socket> {
  for (;;) {
    signal.throwIfAborted();
    try {
      return await connectUnix(socket);
    } catch (error) {
      if (!refusesConnections(error)) throw error;
    }
    await delay(retryMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}
