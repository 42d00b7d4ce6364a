import type { Microvm } from '../../model/microvm.ts';
import type { DatedCredentials } from './role-credentials.ts';

/** What the metadata service can tell: a text, one that takes some making, or a directory of these. */
export type MetadataNode = string | (() => Promise<string>) | ReadonlyMap<string, MetadataNode>;

export interface MetadataSource {
  readonly microvm: Microvm;
  readonly region: string;
  readonly accountId: string;
  /** Absent for a microVM that runs under no role. */
  readonly credentials: (() => Promise<DatedCredentials>) | undefined;
}

/** The only name of a role that there is (spec section 8). */
const roleName = 'execution_role';

/** All there is to tell a microVM of itself, with the names and forms of EC2's metadata service. */
export function metadataTree(source: MetadataSource): MetadataNode {
  const { microvm, region, accountId, credentials } = source;
  const zone = `${region}a`;
  const iam =
    credentials === undefined
      ? []
      : [
          directory(
            'iam',
            directory(
              'security-credentials',
              entry(roleName, () => document(credentials)),
            ),
          ),
        ];
  const identity = {
    accountId,
    availabilityZone: zone,
    imageId: microvm.imageArn,
    instanceId: microvm.microvmId,
    pendingTime: isoSeconds(microvm.startedAt),
    region,
    version: '2017-09-30',
  };
  return new Map([
    directory(
      'latest',
      directory(
        'dynamic',
        directory('instance-identity', entry('document', JSON.stringify(identity, null, 2))),
      ),
      directory(
        'meta-data',
        ...iam,
        entry('instance-id', microvm.microvmId),
        directory('placement', entry('availability-zone', zone), entry('region', region)),
      ),
    ),
  ]);
}

/**
 * What is at a path such as `/latest/meta-data/`; undefined for nothing.
 * @returns the text, or the names in a directory, one a line
 */
export async function readMetadata(tree: MetadataNode, path: string): Promise<string | undefined> {
  let node: MetadataNode | undefined = tree;
  for (const name of path.split('/').filter((part) => part !== '')) {
    if (!(node instanceof Map)) return undefined;
    node = (node as ReadonlyMap<string, MetadataNode>).get(name);
  }
  if (node === undefined || typeof node === 'string') return node;
  if (typeof node === 'function') return await node();
  return Array.from(node, ([name, child]) => (child instanceof Map ? `${name}/` : name)).join('\n');
}

type Entry = readonly [string, MetadataNode];

function entry(name: string, value: MetadataNode): Entry {
  return [name, value];
}

function directory(name: string, ...entries: readonly Entry[]): Entry {
  return [name, new Map(entries)];
}

async function document(credentials: () => Promise<DatedCredentials>): Promise<string> {
  const { accessKeyId, secretAccessKey, sessionToken, issuedAt, expiresAt } = await credentials();
  const fields = {
    Code: 'Success',
    LastUpdated: isoSeconds(issuedAt),
    Type: 'AWS-HMAC',
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey,
    Token: sessionToken,
    Expiration: isoSeconds(expiresAt),
  };
  return JSON.stringify(fields, null, 2);
}

/** As `2026-01-02T03:04:05Z`: some clients do not read fractions. */
function isoSeconds(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19)}Z`;
}
