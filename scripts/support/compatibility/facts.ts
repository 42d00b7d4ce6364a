/** What no table of the server says. */

export const introduction = `# Compatibility

Made by \`node scripts/compatibility.ts\` from the tables that the server works by; a test fails when the two differ.

- **same**: as the service does it, as far as it is documented or has been recorded.
- **extension**: the service has no such thing, or refuses it. The \`aws\` profile leaves out extensions of members.
- **unrecorded**: nobody has recorded what the service does; the choice is ours.`;

const standings: Readonly<Record<string, string>> = {
  GetCallerIdentity: 'same',
  GetSessionToken: 'same, without MFA',
  CreateNetworkConnector: 'same; subnet and security group ids name egress policies of the server',
  UpdateNetworkConnector: 'same; subnet and security group ids name egress policies of the server',
  AssumeRole:
    'same members where they matter to credential chains; any role of the account can be assumed; a role without a policy keeps the permissions of its caller',
  DescribeLogGroups: 'same',
  GetMetricStatistics: 'same; other namespaces have no data',
  GetMetricData: 'same, without expressions; other namespaces have no data',
  CreateRole: 'same, without permissions boundaries',
  AttachRolePolicy:
    'same for `AdministratorAccess`, `AmazonS3FullAccess`, `AmazonS3ReadOnlyAccess`, `CloudWatchLogsFullAccess` and `AWSLambdaBasicExecutionRole`; `NoSuchEntity` for any other',
  ListInstanceProfilesForRole: 'there are none',
  CreateLogGroup: 'same, without keys, classes other than STANDARD and protection against deletion',
  DeleteLogGroup: 'same; what is written to the group later makes it anew',
  PutRetentionPolicy:
    'same, but whole streams go, and none is kept longer than `--log-retention-days` and `--log-total-mib` allow',
  DescribeLogStreams: 'same; no `uploadSequenceToken`',
  GetLogEvents: 'same; `ingestionTime` is the time of the event',
  FilterLogEvents: 'same for text patterns; JSON, column and expression patterns are refused',
};

export const iamIntroduction =
  'The query protocol. Roles are the ones that microVMs and builds run under, and what their policies say is held. Policies have to be understood as a whole: a condition or a variable that the server does not know is `MalformedPolicyDocument`. Trust policies are stored and given back; who may assume a role is said by the policies of the caller (different). `iam:PassRole` is asked for by the operations that take a role. The policy that `dormouse roles` gives a role is its inline policy `dormouse`. Users, groups, policies of the account, boundaries and identity providers do not exist here.';

/** How an operation compares with the service's. */
export function standing(operation: string): string {
  return standings[operation] ?? 'same';
}

export const s3Operations: readonly string[] = [
  'Buckets: `CreateBucket`, `HeadBucket`, `ListBuckets`, `DeleteBucket`, `GetBucketLocation`.',
  'Objects: `PutObject`, `GetObject` with ranges, `HeadObject`, `CopyObject`, `DeleteObject`, `DeleteObjects`, `ListObjectsV2`, `ListObjectVersions`, `PutObjectTagging`, `GetObjectTagging`, `DeleteObjectTagging`.',
  "Settings of buckets, stored and given back, because tools set them when they set themselves up: public access block, encryption, lifecycle, policy, tagging, ownership controls (put, get, delete), versioning (put, get). **Nothing is done by them.** Lifecycle rules delete nothing. No version is kept: each object has the one version `null`. A bucket policy allows and denies nothing; the policies of keys and roles decide (different). Nothing is public anyway. Encryption is `AES256` in name, the disk is the host's to encrypt; `aws:kms` is refused.",
  'Read only, as on a bucket on which they were never set: ACL, CORS, website, logging, notification, accelerate, request payment, replication, object lock. To set them answers `NotImplemented`.',
  'A request that names a version needs the action for objects and the one for versions (stricter than the service), since the version is the object.',
  'Multipart uploads: create, upload of parts, complete, abort, list of uploads and of parts.',
  'Bodies in chunks (`aws-chunked`) with trailing checksums; URLs presigned with signature version 4 or 2.',
];

/** Choices that no single place in the source marks. */
export const endpointChoices: readonly string[] = [
  'A TLS server name of another microVM than the request names: 421.',
  '`x-aws-proxy-error` is `UNAUTHORIZED` on every 403, and `RATE_LIMITED`, `MICROVM_WAKING`, `TIMEOUT`, `BAD_REQUEST`, `SHELL_NOT_STARTED` or `INTERNAL` elsewhere.',
  '`CLOCK_MONOTONIC` stands still while a microVM sleeps, and pending sleeps have as much left as before; the service counts the time (different).',
  'Shell tokens are 767 characters long.',
  'A microVM without HTTP ingress answers 403 `Access to port denied`.',
  'Build hooks come from the user agent `dormouse` to the host `localhost:PORT`; the service names `smithy-java` and the endpoint of the VM it builds in (different).',
  'Image versions carry `stateReason` too.',
  'An application that cannot be run counts as one that exited: 127 when it is not there, 126 when it cannot be executed.',
];
