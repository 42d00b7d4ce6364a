import type { Realm } from './arn.ts';
import type { ClientToken } from './client-token.ts';

/** Customer network connectors (spec section 1.9). */

export const connectorStates = [
  'PENDING',
  'ACTIVE',
  'INACTIVE',
  'FAILED',
  'DELETING',
  'DELETE_FAILED',
] as const;
export type ConnectorState = (typeof connectorStates)[number];

export interface ConnectorConfiguration {
  /** Each names an egress policy of the server. */
  readonly subnetIds: readonly string[];
  /** Likewise; absent when the request had none. */
  readonly securityGroupIds?: readonly string[];
  readonly networkProtocol: 'IPv4' | 'DualStack';
}

export interface Connector {
  readonly arn: string;
  /** `nc-<uuid>` */
  readonly id: string;
  readonly name: string;
  readonly state: ConnectorState;
  readonly stateReason: string | undefined;
  readonly configuration: ConnectorConfiguration;
  readonly operatorRole: string;
  /** Counts the configurations there have been. */
  readonly version: number;
  readonly lastUpdate:
    | { readonly status: 'Successful' | 'Failed' | 'InProgress'; readonly reason: string | undefined }
    | undefined;
  /** Epoch milliseconds. */
  readonly modifiedAt: number;
}

export type ConnectorTags = Readonly<Record<string, string>>;

export interface ConnectorInput {
  readonly name: string;
  readonly configuration: ConnectorConfiguration;
  readonly operatorRole: string;
  readonly clientToken: ClientToken;
  readonly tags: ConnectorTags;
}

export interface ConnectorChange {
  readonly configuration?: ConnectorConfiguration | undefined;
  readonly operatorRole?: string | undefined;
  readonly clientToken: ClientToken;
}

export function connectorArn({ region, accountId }: Realm, id: string): string {
  return `arn:aws:lambda:${region}:${accountId}:network-connector:${id}`;
}

/** Names of the egress policies that apply together. */
export function policyNamesOf({
  subnetIds,
  securityGroupIds = [],
}: ConnectorConfiguration): readonly string[] {
  return [...new Set([...subnetIds, ...securityGroupIds])];
}
