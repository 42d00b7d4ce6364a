import type { Generated, Insertable, Selectable } from 'kysely';

/**
 * Tables of the metadata store. Times are epoch milliseconds, structured values JSON text, flags 0 or 1.
 * The same statements serve SQLite and PostgreSQL.
 */
export interface Database {
  images: ImagesTable;
  image_versions: ImageVersionsTable;
  image_builds: ImageBuildsTable;
  microvms: MicrovmsTable;
  client_tokens: ClientTokensTable;
  settings: SettingsTable;
  published_ports: PublishedPortsTable;
  leases: LeasesTable;
  activity_settings: ActivitySettingsTable;
  access_keys: AccessKeysTable;
  events: EventsTable;
  webhooks: WebhooksTable;
  egress_policies: EgressPoliciesTable;
  network_connectors: NetworkConnectorsTable;
  role_policies: RolePoliciesTable;
  iam_roles: IamRolesTable;
  log_groups: LogGroupsTable;
  s3_buckets: S3BucketsTable;
  s3_bucket_settings: S3BucketSettingsTable;
  s3_objects: S3ObjectsTable;
  s3_uploads: S3UploadsTable;
}

export interface ImagesTable {
  image_arn: string;
  id: string;
  name: string;
  state: string;
  latest_active_version: string | null;
  latest_failed_version: string | null;
  next_version: number;
  tags: string;
  created_at: number;
  updated_at: number;
}

export interface ImageVersionsTable {
  image_arn: string;
  /** Number behind the label: 1 for `"1.0"`. */
  version: number;
  state: string;
  status: string;
  state_reason: string | null;
  /** What keeps its snapshot from being launched from; null where nothing does. */
  condition: string | null;
  configuration: string;
  created_at: number;
  updated_at: number;
}

export interface ImageBuildsTable {
  build_id: string;
  image_arn: string;
  version: number;
  state: string;
  architecture: string;
  state_reason: string | null;
  snapshot_sizes: string | null;
  created_at: number;
}

export interface MicrovmsTable {
  microvm_id: string;
  endpoint_id: string;
  state: string;
  state_reason: string | null;
  image_arn: string;
  image_version: string;
  execution_role_arn: string | null;
  idle_policy: string | null;
  logging: string | null;
  maximum_duration_seconds: number;
  ingress_connectors: string;
  egress_connectors: string;
  memory_mib: number;
  /** Kept only until the run hook was answered. */
  run_hook_payload: string | null;
  started_at: number;
  suspended_at: number | null;
  terminated_at: number | null;
  last_activity_at: number;
  /** The microVM this one was forked from. */
  forked_from: string | null;
}

export interface ClientTokensTable {
  /** ARN of whose it is; empty for those of before principals were kept. */
  principal: string;
  /** Operation the token belongs to, such as `RunMicrovm`. */
  scope: string;
  token: string;
  /** SHA-256 of the request's parameters in canonical form. */
  parameters_digest: string;
  /** What the first request made: a microVM id, or an image ARN and version. */
  resource: string;
  created_at: number;
}

export interface SettingsTable {
  name: string;
  value: string;
}

export interface PublishedPortsTable {
  microvm_id: string;
  protocol: string;
  guest_port: number;
  host_port: number;
  /** Source networks, as a JSON list. */
  allow: string;
}

export interface LeasesTable {
  microvm_id: string;
  ends_at: number;
}

export interface ActivitySettingsTable {
  microvm_id: string;
  /** 0 or 1 */
  requests: Generated<number>;
  /** 0 or 1 */
  exec_sessions: number;
  guest_cpu_percent: number | null;
}

export interface AccessKeysTable {
  name: string;
  /** Stays the same when the key is rotated. */
  user_id: string;
  access_key_id: string;
  /** The secret, encrypted: signatures cannot be verified with a digest of it. */
  sealed_secret: string;
  /** Policy document as it was given. */
  policy: string;
  created_at: number;
  rotated_at: number | null;
}

export interface EventsTable {
  sequence: Generated<number>;
  time: number;
  subject: string;
  microvm_id: string | null;
  image_arn: string;
  image_version: string | null;
  build_id: string | null;
  from_state: string | null;
  to_state: string;
  reason: string | null;
}

export interface WebhooksTable {
  webhook_id: string;
  url: string;
  /** An `EventFilter`. */
  filter: string;
  /** The secret that signs deliveries, encrypted. */
  sealed_secret: string;
  created_at: number;
  /** Sequence of the last event that was delivered or not wanted. */
  position: number;
  /** Events delivered, and events that retention removed before they could be. */
  delivered: number;
  missed: number;
  last_delivered_at: number | null;
  /** Failed attempts at the event that is next. */
  attempts: number;
  failing_since: number | null;
  last_error: string | null;
  /** Since when nothing is delivered any more. */
  dead_at: number | null;
}

export interface EgressPoliciesTable {
  /** A subnet or security group id. */
  name: string;
  /** Rules and default as they were given. */
  document: string;
  created_at: number;
  updated_at: number;
}

export interface NetworkConnectorsTable {
  id: string;
  arn: string;
  name: string;
  state: string;
  state_reason: string | null;
  configuration: string;
  operator_role: string;
  version: number;
  last_update: string | null;
  tags: string;
  created_at: number;
  modified_at: number;
}

export interface RolePoliciesTable {
  role_name: string;
  /** Policy document as it was given. */
  policy: string;
  created_at: number;
  updated_at: number;
}

export interface IamRolesTable {
  role_name: string;
  role_id: string;
  path: string;
  description: string | null;
  trust_policy: string;
  maximum_session_seconds: number;
  /** Documents by name. */
  inline_policies: string;
  /** ARNs. */
  attached_policies: string;
  tags: string;
  created_at: number;
  updated_at: number;
}

export interface LogGroupsTable {
  name: string;
  retention_days: number | null;
  tags: string;
  created_at: number;
}

export interface S3BucketsTable {
  name: string;
  created_at: number;
}

export interface S3BucketSettingsTable {
  bucket: string;
  /** Query parameter that names it, such as `encryption`. */
  name: string;
  /** As it is given back: XML, or JSON for a policy. */
  document: string;
}

export interface S3ObjectsTable {
  bucket: string;
  key: string;
  /** File name of the content below the bucket's directory. */
  blob: string;
  size: number;
  etag: string;
  content_type: string | null;
  /** User metadata, checksums, tags and further headers to give back. */
  metadata: string;
  modified_at: number;
}

export interface S3UploadsTable {
  upload_id: string;
  bucket: string;
  key: string;
  content_type: string | null;
  metadata: string;
  created_at: number;
}

export type MicrovmRow = Selectable<MicrovmsTable>;
export type NewMicrovmRow = Insertable<MicrovmsTable>;
export type EventRow = Selectable<EventsTable>;
export type WebhookRow = Selectable<WebhooksTable>;
export type PublishedPortRow = Selectable<PublishedPortsTable>;
