import type { TLSSocket } from 'node:tls';

/** The name a client asked for in its TLS handshake. */
export function serverNameOf(socket: TLSSocket): string | undefined {
  const name = socket.servername;
  return typeof name === 'string' && name !== '' ? name : undefined;
}
