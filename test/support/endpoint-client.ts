import { readFile } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import type { Ready } from './dormouse-server.ts';

export interface EndpointResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface EndpointRequest {
  readonly path?: string;
  readonly method?: string;
  readonly token?: string | undefined;
  readonly port?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/**
 * One HTTPS request to a microVM as any client makes it, except that the name is resolved to this machine here.
 * @param endpoint `<host>[:<port>]` as RunMicrovm returned it
 */
export async function callEndpoint(
  ready: Pick<Ready, 'caCertificatePath'>,
  endpoint: string,
  options: EndpointRequest,
): Promise<EndpointResponse> {
  const [host = '', port] = endpoint.split(':');
  const ca = await readFile(ready.caCertificatePath);
  const { promise, resolve, reject } = Promise.withResolvers<EndpointResponse>();
  const outgoing = request({
    host: '127.0.0.1',
    servername: host,
    port: Number(port ?? 443),
    ca,
    agent: false,
    path: options.path ?? '/',
    method: options.method ?? 'GET',
    headers: {
      host: endpoint,
      ...(options.token === undefined ? {} : { 'x-aws-proxy-auth': options.token }),
      ...(options.port === undefined ? {} : { 'x-aws-proxy-port': String(options.port) }),
      ...options.headers,
    },
  });
  outgoing.on('error', reject);
  outgoing.on('response', (response) => {
    text(response).then(
      (body) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
      reject,
    );
  });
  outgoing.end(options.body);
  return await promise;
}
