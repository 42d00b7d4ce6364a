import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CreateMicrovmAuthTokenCommand } from '@aws-sdk/client-lambda-microvms';
import type { Client } from './client.ts';
import { addressOf } from './endpoint-address.ts';

export interface MicrovmRequest {
  /** `<host>[:<port>]` as the service gives it. */
  readonly endpoint: string;
  readonly token: string;
  /** Port inside the guest. */
  readonly port: number;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string | Buffer | Readable | undefined;
  /** Milliseconds; none when absent. */
  readonly timeout?: number | undefined;
}

/** A token that opens one port of a microVM for a few minutes. */
export async function mintToken(client: Client, microvmIdentifier: string, port: number): Promise<string> {
  const answer = await (await client.microvms()).send(
    new CreateMicrovmAuthTokenCommand({
      microvmIdentifier,
      expirationInMinutes: 5,
      allowedPorts: [{ port }],
    }),
  );
  return answer.authToken?.['X-aws-proxy-auth'] ?? '';
}

/** One HTTPS request to a microVM's endpoint. */
export async function sendToMicrovm(client: Client, options: MicrovmRequest): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const outgoing = request({
    ...(await addressOf(client, options.endpoint)),
    agent: false,
    method: options.method,
    path: options.path,
    headers: {
      host: options.endpoint,
      'user-agent': 'dormouse',
      accept: '*/*',
      'x-aws-proxy-auth': options.token,
      'x-aws-proxy-port': String(options.port),
      ...options.headers,
    },
  });
  outgoing.once('response', resolve);
  outgoing.on('error', reject);
  if (options.timeout !== undefined) {
    const timer = setTimeout(
      () => outgoing.destroy(new Error(`no complete answer within ${options.timeout} ms`)),
      options.timeout,
    );
    outgoing.once('close', () => clearTimeout(timer));
  }
  if (typeof options.body === 'object' && !Buffer.isBuffer(options.body)) {
    pipeline(options.body, outgoing).catch(reject);
  } else {
    outgoing.end(options.body);
  }
  return await promise;
}
