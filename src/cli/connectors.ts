import type { Client } from './client.ts';

/** What the commands use of a network connector. */
export interface WireConnector {
  readonly Arn: string;
  readonly Id: string;
  readonly Name: string;
  readonly State: string;
}

export const connectorsPath = '/2026-04-04/network-connectors';

/** @param connector name, id or ARN */
export async function getConnector(client: Client, connector: string): Promise<WireConnector> {
  const response = await client.extension(`${connectorsPath}/${encodeURIComponent(connector)}`);
  return (await response.json()) as WireConnector;
}

/** Of the managed ones by their names, such as `INTERNET_EGRESS`. */
export function managedConnector(region: string, name: string): string {
  return `arn:aws:lambda:${region}:aws:network-connector:aws-network-connector:${name}`;
}

/** ARNs of connectors given as people name them: an ARN, a managed one, or a name or id of one's own. */
export async function connectorArns(client: Client, named: readonly string[]): Promise<string[]> {
  const { region } = await client.server();
  return await Promise.all(
    named.map(async (connector) => {
      if (connector.startsWith('arn:')) return connector;
      if (/^[A-Z]+_(?:IN|E)GRESS$/.test(connector)) return managedConnector(region, connector);
      return (await getConnector(client, connector)).Arn;
    }),
  );
}
