import { request } from 'node:https';
import type { Duplex } from 'node:stream';
import type { EndpointAddress } from './endpoint-address.ts';
import { CliError } from './errors.ts';

export interface TunnelTarget {
  readonly address: EndpointAddress;
  /** `<host>[:<port>]` as the service gives it. */
  readonly endpoint: string;
  /** Port inside the guest. */
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
}

/**
 * Opens a connection to a port of a microVM through its endpoint; a sleeping one wakes for it.
 * @throws {CliError} the endpoint refused, or the microVM did
 */
export async function openTunnel(target: TunnelTarget, token: string): Promise<Duplex> {
  const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
  const outgoing = request({
    ...target.address,
    agent: false,
    path: `/dormouse/v1/tunnel?port=${target.port}`,
    headers: {
      host: target.endpoint,
      'user-agent': 'dormouse',
      'x-aws-proxy-auth': token,
      connection: 'upgrade',
      upgrade: `dormouse-${target.protocol}`,
    },
  });
  outgoing.once('upgrade', (_response, socket, head) => {
    // The application may finish before its client does, and the other way round.
    socket.allowHalfOpen = true;
    socket.setNoDelay(true);
    if (head.length > 0) socket.unshift(head);
    resolve(socket);
  });
  outgoing.once('response', (response) => {
    response.resume();
    const why = response.headers['x-aws-proxy-error'];
    reject(new CliError(`Port ${target.port} cannot be reached: ${why ?? response.statusCode}.`));
  });
  outgoing.on('error', reject);
  outgoing.end();
  return await promise;
}
