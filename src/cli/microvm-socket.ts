import { once } from 'node:events';
import { isIP } from 'node:net';
import tls from 'node:tls';
import { WebSocket } from 'ws';
import type { Client } from './client.ts';
import { addressOf } from './endpoint-address.ts';
import { mintShellToken } from './endpoint-tokens.ts';
import { CliError } from './errors.ts';
import { resolveMicrovm } from './identify.ts';

/**
 * Opens a WebSocket to the shell side of a microVM's endpoint.
 * @throws {CliError} the endpoint refuses
 */
export async function openSocket(client: Client, name: string, path: string): Promise<WebSocket> {
  const microvm = await resolveMicrovm(client, name);
  const endpoint = microvm.endpoint ?? '';
  const token = await mintShellToken(client, microvm.microvmId ?? '');
  const { servername, ...address } = await addressOf(client, endpoint);
  const socket = new WebSocket(`wss://${endpoint}${path}`, {
    headers: { 'x-aws-proxy-auth': token, 'user-agent': 'dormouse' },
    perMessageDeflate: false,
    createConnection: () => tls.connect({ ...address, servername: isIP(servername) ? '' : servername }),
  });
  const refused = Promise.withResolvers<never>();
  socket.once('unexpected-response', (_request, response) => {
    const why = response.headers['x-aws-proxy-error'] ?? response.statusCode;
    refused.reject(new CliError(`The microVM cannot be reached: ${why}.`));
    response.destroy();
  });
  await Promise.race([once(socket, 'open'), refused.promise]);
  socket.on('error', () => undefined);
  return socket;
}
