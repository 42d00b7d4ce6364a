import type { Client } from './client.ts';

/** Where and as whom to connect to the endpoint of a microVM. */
export interface EndpointAddress {
  readonly host: string;
  readonly port: number;
  readonly servername: string;
  /** PEM of what to trust: an authority, or the certificate itself. */
  readonly ca: string;
  readonly allowPartialTrustChain: true;
}

/**
 * Names below `localhost` are on the machine of the API server, whether or not this machine's resolver knows
 * such names.
 * @param endpoint `<host>[:<port>]` as the service gives it
 */
export async function addressOf(client: Client, endpoint: string): Promise<EndpointAddress> {
  const { hostname: servername, port } = new URL(`https://${endpoint}`);
  const local = servername === 'localhost' || servername.endsWith('.localhost');
  return {
    host: local ? new URL(client.connection.apiEndpoint).hostname : servername,
    port: port === '' ? 443 : Number(port),
    servername,
    ca: await client.certificateAuthority(),
    allowPartialTrustChain: true,
  };
}
