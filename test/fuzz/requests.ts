import fc from 'fast-check';
import { extensionOperations } from '../../src/api/extensions/index.ts';
import { logsActions } from '../../src/api/logs/actions.ts';
import { operations } from '../../src/api/operations/index.ts';
import type { Members, Shape } from '../../src/api/shapes/shape.ts';
import { stsActions } from '../../src/api/sts/actions.ts';
import { defaultBucketName } from '../../src/s3/disk-object-store.ts';
import { realm } from '../api/server.ts';

/** A request before it is signed. */
export interface WildRequest {
  readonly method: string;
  readonly service: string;
  /** With the query. */
  readonly path: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What is there to be named. */
export interface Known {
  readonly imageArn: string;
  readonly microvmId: string;
}

interface Target extends Omit<WildRequest, 'headers' | 'body'> {
  readonly headers?: Readonly<Record<string, string>>;
  /** What would suit it; other bodies are sent to it as well. */
  readonly body?: string;
}

const wild = fc
  .string({ unit: 'binary', maxLength: 20 })
  .map((text) => encodeURIComponent(text.toWellFormed()));
const parameter = fc.oneof(
  fc.constantFrom(
    'maxResults',
    'nextToken',
    'imageIdentifier',
    'tagKeys',
    'group',
    'stream',
    'list-type',
    'uploadId',
  ),
  fc.constantFrom(
    'max-keys',
    'prefix',
    'delimiter',
    'uploads',
    'partNumber',
    'delete',
    'encoding-type',
    'X-Amz-Date',
  ),
  wild,
);
const query = fc
  .array(fc.tuple(parameter, fc.oneof(wild, fc.constantFrom('1', '50', '', '%', '%zz', 'url', '-1'))), {
    maxLength: 4,
  })
  .map((pairs) => pairs.map(([name, value]) => `${name}=${value}`).join('&'));

/** A value that suits a shape, or nearly. */
function suiting(shape: Shape, known: Known): fc.Arbitrary<unknown> {
  switch (shape.type) {
    case 'string':
      return fc.oneof(
        fc.constantFrom(known.imageArn, known.microvmId, '1.0', ...(shape.values ?? ['a'])),
        fc.constantFrom(
          `arn:aws:iam::${realm.accountId}:role/build`,
          's3://bucket/key',
          'http://127.0.0.1:9/',
        ),
        fc.string({ maxLength: 12 }),
      );
    case 'integer':
      return fc.oneof(fc.integer({ min: 0, max: 100 }), fc.integer(), fc.double());
    case 'boolean':
      return fc.boolean();
    case 'list':
      return fc.array(suiting(shape.member, known), { maxLength: 3 });
    case 'map':
      return fc.dictionary(fc.string({ maxLength: 8 }), suiting(shape.value, known), { maxKeys: 3 });
    case 'structure':
      return suitingMembers(shape.members, known);
    case 'union':
      return fc.oneof(
        ...Object.entries(shape.members).map(([name, { shape: member }]) =>
          fc.record({ [name]: suiting(member, known) }),
        ),
      );
  }
}

function suitingMembers(members: Members, known: Known): fc.Arbitrary<object> {
  const inBody = Object.entries(members).filter(([, member]) => member.location === 'body');
  return fc.record(Object.fromEntries(inBody.map(([name, { shape }]) => [name, suiting(shape, known)])), {
    requiredKeys: inBody.flatMap(([name, { required }]) => (required ? [name] : [])),
  });
}

/** A path with the operation's shape: real, strange and missing values in its places. */
const jsonTarget = (known: Known): fc.Arbitrary<Target> =>
  fc.constantFrom(...operations, ...extensionOperations).chain(({ method, path, members }) =>
    fc
      .tuple(fc.array(fc.oneof(wild, fc.constant('known'))), suitingMembers(members, known))
      .map(([values, document]) => {
        const real = (name: string): string =>
          name.startsWith('microvm')
            ? known.microvmId
            : encodeURIComponent(name === 'imageVersion' ? '1.0' : known.imageArn);
        const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => {
          const value = values.pop();
          return value === undefined || value === 'known' ? real(name) : value;
        });
        return { method, path: filled, service: 'lambda', body: JSON.stringify(document) };
      }),
  );

const logsTarget = (known: Known): fc.Arbitrary<Target> =>
  fc.constantFrom(...logsActions).chain(({ name, members }) =>
    suitingMembers(members, known).map((document) => ({
      method: 'POST',
      path: '/',
      service: 'logs',
      headers: { 'x-amz-target': `Logs_20140328.${name}` },
      body: JSON.stringify(document),
    })),
  );

const stsTarget: fc.Arbitrary<Target> = fc
  .tuple(fc.constantFrom(...stsActions.map(({ name }) => name), 'Other'), wild, wild)
  .map(([action, name, value]) => ({
    method: 'POST',
    path: '/',
    service: 'sts',
    body: `Action=${action}&Version=2011-06-15&RoleArn=${value}&RoleSessionName=${name}&DurationSeconds=${value}`,
  }));

const s3Target: fc.Arbitrary<Target> = fc
  .tuple(
    fc.constantFrom('GET', 'PUT', 'POST', 'HEAD', 'DELETE', 'PATCH'),
    fc.constantFrom('', 'none', defaultBucketName(realm.accountId)),
    wild,
  )
  .map(([method, bucket, key]) => ({ method, path: `/${bucket}/${key}`, service: 's3' }));

const anyTarget: fc.Arbitrary<Target> = fc
  .tuple(
    fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'OPTIONS'),
    fc.array(wild),
    fc.constantFrom('lambda', 's3', 'sts', 'logs', 'ec2'),
  )
  .map(([method, segments, service]) => ({ method, path: `/${segments.join('/')}`, service }));

const body = fc.oneof(
  fc.json(),
  fc.string(),
  fc.constantFrom(
    '',
    '{}',
    '[]',
    'null',
    '{"allowedPorts":[{}]}',
    'Action=GetCallerIdentity',
    '<Delete><a/></Delete>',
  ),
  fc
    .record(
      {
        imageIdentifier: fc.oneof(fc.string(), fc.constant('demo')),
        name: fc.string(),
        tags: fc.dictionary(fc.string(), fc.string()),
        Tags: fc.dictionary(fc.string(), fc.string()),
        idlePolicy: fc.object(),
        environmentVariables: fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer())),
        codeArtifact: fc.oneof(fc.object(), fc.record({ uri: fc.string() })),
        allowedPorts: fc.array(fc.oneof(fc.object(), fc.record({ port: fc.integer() }))),
        expirationInMinutes: fc.oneof(fc.integer(), fc.double()),
        status: fc.string(),
      },
      { requiredKeys: [] },
    )
    .map((value) => JSON.stringify(value)),
);

const headers = fc.dictionary(
  fc.constantFrom(
    'range',
    'x-amz-copy-source',
    'x-amz-trailer',
    'x-amz-meta-a',
    'x-amz-checksum-crc32',
    'x-amz-sdk-checksum-algorithm',
    'x-amz-decoded-content-length',
    'content-md5',
    'content-encoding',
    'if-match',
    'if-none-match',
    'if-modified-since',
    'x-amz-content-sha256',
  ),
  fc.oneof(
    fc.stringMatching(/^[ -~]{0,20}$/),
    fc.constantFrom('bytes=0-1', '*', 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'),
  ),
  { maxKeys: 3 },
);

/** Requests of every kind: nearly right, strange, and none at all. */
export function wildRequests(known: Known): fc.Arbitrary<WildRequest> {
  const target = fc.oneof(
    { weight: 4, arbitrary: jsonTarget(known) },
    { weight: 2, arbitrary: s3Target },
    { weight: 1, arbitrary: logsTarget(known) },
    { weight: 1, arbitrary: stsTarget },
    { weight: 1, arbitrary: anyTarget },
  );
  return fc
    .record({ target, query, body, headers, suits: fc.boolean() })
    .map(({ target: to, query: search, body: other, headers: more, suits }) => ({
      method: to.method,
      service: to.service,
      path: `${to.path}?${search}`,
      body: suits ? (to.body ?? other) : other,
      headers: { ...more, ...to.headers },
    }));
}
