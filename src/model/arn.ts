/** ARNs of the service (spec section 2). */

export interface Realm {
  readonly region: string;
  readonly accountId: string;
}

export function imageArn(realm: Realm, name: string): string {
  return `arn:aws:lambda:${realm.region}:${realm.accountId}:microvm-image:${name}`;
}

/** The one managed base image (spec section 2); its name is the service's so that templates work unchanged. */
export function managedBaseImageArn(region: string): string {
  return `arn:aws:lambda:${region}:aws:microvm-image:al2023-1`;
}

export const managedBaseImageVersions = ['1', '0'] as const;

export const managedConnectors = [
  'ALL_INGRESS',
  'HTTP_INGRESS',
  'SHELL_INGRESS',
  'NO_INGRESS',
  'INTERNET_EGRESS',
] as const;
export type ManagedConnector = (typeof managedConnectors)[number];

export function managedConnectorArn(region: string, connector: ManagedConnector): string {
  return `arn:aws:lambda:${region}:aws:network-connector:aws-network-connector:${connector}`;
}

/** The managed connector an ARN names, if it names one. */
export function managedConnectorOf(arn: string): ManagedConnector | undefined {
  const name = /^arn:[^:]+:lambda:[^:]*:aws:network-connector:aws-network-connector:(.+)$/.exec(arn)?.[1];
  return managedConnectors.find((connector) => connector === name);
}
