import type { Duplex } from 'node:stream';

/** Time an application has to close its side. */
const lingerMs = 1_000;

/**
 * Ends a connection into a guest that has nothing more to say, as a client does: with a FIN. The application closes
 * its side; one still at its answer, of which the rest is thrown away, would see a reset otherwise.
 */
export function hangUp(connection: Duplex): void {
  const timer = setTimeout(() => connection.destroy(), lingerMs).unref();
  connection.on('error', () => undefined);
  connection.once('close', () => clearTimeout(timer));
  connection.end();
  connection.resume();
}
