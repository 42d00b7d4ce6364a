import { appendFile, rename } from 'node:fs/promises';
import type net from 'node:net';
import path from 'node:path';

/** A file is put aside at this size; with its predecessor at most twice as much is kept. */
const maximumFileBytes = 256 * 1024;

/**
 * Keeps the latest output of the guest's serial console in `console.log` and `console.log.1`. The guest decides
 * how much it writes, so the amount kept is bounded, and nothing is kept while no server is attached.
 * Resolves when the console is closed and all of it is written; never rejects.
 */
export async function pumpConsole(socket: net.Socket, directory: string): Promise<void> {
  const file = path.join(directory, 'console.log');
  const closed = new Promise((resolve) => socket.once('close', resolve));
  let written = 0;
  let last: Promise<void> = Promise.resolve();
  socket.unref();
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    socket.pause();
    last = last
      .then(async () => {
        if (written + chunk.length > maximumFileBytes) {
          written = 0;
          await rename(file, `${file}.1`);
        }
        written += chunk.length;
        await appendFile(file, chunk, { mode: 0o600 });
      })
      // The directory of a VM being removed may vanish at any moment; its console is then of no interest.
      .catch(() => undefined)
      .finally(() => socket.resume());
  });
  await closed;
  await last;
}
