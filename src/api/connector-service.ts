import type { Page, PageRequest } from '../images/image-service.ts';

/** Customer network connectors (spec section 1.9). */

export type ConnectorState = 'PENDING' | 'ACTIVE' | 'INACTIVE' | 'FAILED' | 'DELETING' | 'DELETE_FAILED';

export interface ConnectorConfiguration {
  readonly subnetIds: readonly string[];
  readonly securityGroupIds: readonly string[];
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
  readonly version: number;
  readonly lastUpdate:
    | { readonly status: 'Successful' | 'Failed' | 'InProgress'; readonly reason: string }
    | undefined;
  /** Epoch milliseconds. */
  readonly modifiedAt: number;
}

export interface ConnectorInput {
  readonly name: string;
  readonly configuration: ConnectorConfiguration;
  readonly operatorRole: string;
  readonly clientToken: string;
  readonly tags: Readonly<Record<string, string>>;
}

/** Identifiers are an id, a name or an ARN. Methods throw {@link ServiceError} with the recorded texts. */
export interface ConnectorService {
  create(input: ConnectorInput): Promise<Connector>;
  get(identifier: string): Promise<Connector>;
  list(page: PageRequest, state: ConnectorState | undefined): Promise<Page<Connector>>;
  update(
    identifier: string,
    change: {
      readonly configuration?: ConnectorConfiguration | undefined;
      readonly operatorRole?: string | undefined;
      readonly clientToken: string;
    },
  ): Promise<Connector>;
  delete(identifier: string): Promise<Connector>;

  tags(arn: string): Promise<Readonly<Record<string, string>>>;
  tag(arn: string, tags: Readonly<Record<string, string>>): Promise<void>;
  untag(arn: string, keys: readonly string[]): Promise<void>;
}
