import type { EventFeed } from '../events/event-feed.ts';
import type { Webhooks } from '../events/webhooks.ts';
import type { Roles } from '../identity/roles.ts';
import type { ImageService } from '../images/image-service.ts';
import type { MicrovmService } from '../microvms/microvm-service.ts';
import type { UsageHistory } from '../microvms/usage-history.ts';
import type { Realm } from '../model/arn.ts';
import type { Clock } from '../model/clock.ts';
import type { EgressRefusal } from '../model/egress-refusal.ts';
import type { Profile } from '../model/limits.ts';
import type { PortGrant } from '../model/port-grant.ts';
import type { ObjectStore } from '../s3/object-store.ts';
import type { LogGroupRepository } from '../store/log-groups.ts';
import type { LogStore } from '../telemetry/log-store.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { AccessKeyService } from './access-key-service.ts';
import type { ConnectorService } from './connector-service.ts';
import type { EgressPolicyService } from './egress-policy-service.ts';
import type { PublishedPortService } from './published-port-service.ts';
import type { Rates } from './rates.ts';
import type { RolePolicyService } from './role-policy-service.ts';
import type { CredentialSource } from './sigv4/credentials.ts';

/** What stands behind the API. */
export interface ApiServices {
  readonly images: ImageService;
  readonly microvms: MicrovmService;
  readonly logs: LogStore;
  /** What was set on log groups. */
  readonly logGroups: LogGroupRepository;
  readonly objects: ObjectStore;
  readonly credentials: CredentialSource;
  /** Makes the value of the `X-aws-proxy-auth` header: for ports, or for a shell. */
  mintToken(microvmId: string, grants: readonly PortGrant[] | 'shell', minutes: number): Promise<string>;
  /** A new key for those tokens, which may end all made so far; the operation answers 501 without it. */
  rotateTokenKey?: ((options: { readonly revoke: boolean }) => Promise<void>) | undefined;
  /** Customer connectors. */
  readonly connectors: ConnectorService;
  /** What connectors refer to. */
  readonly egressPolicies: EgressPolicyService;
  /** What a microVM was refused lately by its egress policies, latest first. */
  egressRefusals(microvmId: string): readonly EgressRefusal[];
  /** Roles as clients of IAM make them. */
  readonly roles: Roles;
  /** What roles may do. */
  readonly rolePolicies: RolePolicyService;
  /** Ports opened on the host; their operations answer 501 without it. */
  readonly publishedPorts?: PublishedPortService | undefined;
  /** What microVMs used lately. */
  readonly usage: Pick<UsageHistory, 'of'>;
  /** Access keys besides the root key; their operations answer 501 without it. */
  readonly accessKeys?: AccessKeyService | undefined;
  /** State changes; the operations answer 501 without it, and so do those of webhooks. */
  readonly events?: EventFeed | undefined;
  readonly webhooks?: Webhooks | undefined;
  /** The server's figures; they can be read nowhere without it. */
  readonly metrics?: Metrics | undefined;
}

/** What `GET /dormouse/v1/server` tells. */
export interface ServerDescription {
  readonly version: string;
  readonly vmm: string;
  readonly accelerator: string;
  readonly endpointDomain: string;
  readonly endpointPort: number;
  /** PEM of the authority that signs the endpoints' certificates. */
  readonly caCertificate: string;
}

export interface ApiOptions {
  readonly realm: Realm;
  readonly profile: Profile;
  readonly clock: Clock;
  /** 32 secret bytes that seal pagination and session tokens; kept across restarts so that tokens survive them. */
  readonly pageTokenKey: Buffer;
  /** Calls per second by operation; those of the profile when absent. */
  readonly rates?: Rates | undefined;
  /** Who may read the metrics: anyone, those who sign (when absent), or nobody. */
  readonly metricsAccess?: 'open' | 'signed' | 'off' | undefined;
  /** Domain names that the server goes by, in lower case. */
  readonly hostNames?: readonly string[] | undefined;
  /** The `endpoint` member of a microVM. */
  endpointOf(endpointId: string): string;
  describeServer(): ServerDescription;
  /** Told of every failure that is ours, which the client sees as an internal error only. */
  reportFault(fault: unknown, requestId: string): void;
}
