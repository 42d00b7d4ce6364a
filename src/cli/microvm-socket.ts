import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import tls from 'node:tls';
import { WebSocket } from 'ws';
import type { Client } from './client.ts';
import { addressOf } from './endpoint-address.ts';
import { mintShellToken } from './endpoint-tokens.ts';
import { CliError } from './errors.ts';
import { resolveMicrovm } from './identify.ts';

const longestWords = 1000;

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
    explain(response).then(
      (message) => refused.reject(new CliError(message)),
      (error: unknown) => refused.reject(error),
    );
  });
  await Promise.race([once(socket, 'open'), refused.promise]);
  socket.on('error', () => undefined);
  return socket;
}

async function explain(response: IncomingMessage): Promise<string> {
  const why = response.headers['x-aws-proxy-error'] ?? response.statusCode;
  const words = await firstWords(response);
  if (why === 'SHELL_NOT_STARTED') return `The shell cannot be started: ${words}.`;
  return `The microVM cannot be reached: ${why}${words === '' ? '' : ` (${words})`}.`;
}

/** A response's text, of which a person is shown this much at most. */
async function firstWords(response: IncomingMessage): Promise<string> {
  let words = '';
  for await (const chunk of response.setEncoding('utf8')) {
    words += chunk;
    if (words.length >= longestWords) break;
  }
  return words.slice(0, longestWords).trim();
}
