import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { realpath } from 'node:fs/promises';
import { createServer } from 'node:net';

export class DataDirectoryInUseError extends Error {
  override readonly name = 'DataDirectoryInUseError';
}

/**
 * Makes sure that one server at a time works on a data directory. The lock is a listening socket in the
 * kernel's abstract name space: it goes with the process, however that ends, and leaves no file behind.
 * @returns what releases the lock
 * @throws {DataDirectoryInUseError}
 */
export async function lockDataDirectory(directory: string): Promise<() => Promise<void>> {
  const name = createHash('sha256')
    .update(await realpath(directory))
    .digest('hex');
  const server = createServer((socket) => socket.destroy());
  server.unref();
  server.listen(`\0dormouse-data-${name}`);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new DataDirectoryInUseError(
      `another dormouse server works on ${directory}; stop it, or choose another with --data-dir`,
      { cause: error },
    );
  }
  return async () => {
    server.close();
    await once(server, 'close');
  };
}
