import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { GetMicrovmCommand, LambdaMicrovmsClient } from '@aws-sdk/client-lambda-microvms';
import { memoryQuotaExceeded, ServiceError } from '../../src/errors.ts';
import { managedBaseImageArn, managedConnectorArn } from '../../src/model/arn.ts';
import { raw } from './raw.ts';
import { credentials, realm, startServer, type TestServer } from './server.ts';

/** What goes over the wire, member by member, as recorded (spec sections 1.1, 1.4 and 1.5). */

let server: TestServer;
const imageArn = `arn:aws:lambda:${realm.region}:${realm.accountId}:microvm-image:demo`;
const imagePath = `/2025-09-09/microvm-images/${encodeURIComponent(imageArn)}`;
const image = {
  name: 'demo',
  baseImageArn: managedBaseImageArn(realm.region),
  buildRoleArn: `arn:aws:iam::${realm.accountId}:role/build`,
  codeArtifact: { uri: 's3://bucket/demo.zip' },
};

before(async () => {
  server = await startServer('aws');
});

after(async () => {
  await server.close();
});

function sorted(value: unknown): string[] {
  return Object.keys(value as object).sort();
}

const configurationMembers = [
  'additionalOsCapabilities',
  'baseImageArn',
  'baseImageVersion',
  'buildRoleArn',
  'codeArtifact',
  'cpuConfigurations',
  'description',
  'egressNetworkConnectors',
  'environmentVariables',
  'hooks',
  'logging',
  'resources',
];

test('an image has exactly the recorded members, unset ones null', async () => {
  const created = await raw(server, 'POST', '/2025-09-09/microvm-images', image);
  assert.equal(created.status, 201);
  assert.match(created.headers.get('x-amzn-requestid') ?? '', /^[0-9a-f-]{36}$/);
  const { id, createdAt, updatedAt, ...rest } = created.json as Record<string, unknown>;
  assert.match(String(id), /^[0-9a-f-]{36}$/);
  for (const time of [createdAt, updatedAt]) {
    assert.ok(Math.abs(Number(time) - Date.now() / 1000) < 60);
    assert.match(String(time), /^\d{10}(\.\d{1,3})?$/);
  }
  assert.deepEqual(rest, {
    imageArn,
    name: 'demo',
    state: 'CREATING',
    latestActiveImageVersion: null,
    latestFailedImageVersion: null,
    imageVersion: '1.0',
    baseImageArn: image.baseImageArn,
    baseImageVersion: '1.0',
    buildRoleArn: image.buildRoleArn,
    description: null,
    codeArtifact: image.codeArtifact,
    logging: null,
    egressNetworkConnectors: [managedConnectorArn(realm.region, 'INTERNET_EGRESS')],
    cpuConfigurations: null,
    resources: [{ minimumMemoryInMiB: 2048 }],
    additionalOsCapabilities: null,
    hooks: null,
    environmentVariables: null,
    tags: null,
    buildPhaseOverrides: null,
    roleConfiguration: null,
  });
  const { json: found } = await raw(server, 'GET', imagePath);
  assert.deepEqual(sorted(found), [
    'createdAt',
    'id',
    'imageArn',
    'latestActiveImageVersion',
    'latestFailedImageVersion',
    'name',
    'state',
    'tags',
    'updatedAt',
  ]);
  const { json: updated } = await raw(server, 'PUT', imagePath, { ...image, name: undefined });
  assert.deepEqual(
    sorted(updated),
    sorted(created.json).filter((name) => name !== 'tags'),
  );
});

test('a version has its state bucket, a list its nextToken', async () => {
  const { json } = await raw(server, 'GET', `${imagePath}/versions`);
  const { items, nextToken } = json as { items: Record<string, unknown>[]; nextToken: unknown };
  assert.equal(nextToken, null);
  const [version = {}] = items;
  assert.deepEqual(
    sorted(version),
    [
      ...configurationMembers,
      'createdAt',
      'imageArn',
      'imageVersion',
      'state',
      'stateReason',
      'status',
      'tags',
      'updatedAt',
      'versionStateTimeBucket',
    ].sort(),
  );
  const hour = new Date(Number(version.updatedAt) * 1000).toISOString();
  const bucket = `${hour.slice(2, 4)}${hour.slice(5, 7)}${hour.slice(8, 10)}${hour.slice(11, 13)}`;
  assert.equal(version.versionStateTimeBucket, `SUCCESSFUL#${bucket}`);
  const summary = await raw(server, 'GET', `${imagePath}/versions/1.0/builds`);
  const [build = {}] = (summary.json as { items: Record<string, unknown>[] }).items;
  assert.equal(build.terminationReasonCode, null);
  assert.equal('snapshotBuild' in build, false);
});

test('a microVM has exactly the recorded members', async () => {
  const run = await raw(server, 'POST', '/2025-09-09/microvms', {
    imageIdentifier: imageArn,
    runHookPayload: 'secret',
    logging: { disabled: {} },
    clientToken: 'token',
  });
  assert.equal(run.status, 200);
  const { microvmId, endpoint, startedAt, ...rest } = run.json as Record<string, unknown>;
  assert.match(String(microvmId), /^microvm-[0-9a-f-]{36}$/);
  assert.match(String(endpoint), /^[0-9a-f-]{36}\.microvm\.localhost:9443$/);
  assert.match(String(startedAt), /^\d{10}(\.\d{1,3})?$/);
  assert.deepEqual(rest, {
    state: 'PENDING',
    imageArn,
    imageVersion: '2.0',
    executionRoleArn: null,
    idlePolicy: null,
    maximumDurationInSeconds: 28_800,
    terminatedAt: null,
    stateReason: null,
    terminationReasonCode: null,
    ingressNetworkConnectors: [managedConnectorArn(realm.region, 'HTTP_INGRESS')],
    egressNetworkConnectors: [managedConnectorArn(realm.region, 'INTERNET_EGRESS')],
  });
  const { json } = await raw(server, 'GET', '/2025-09-09/microvms');
  const [item] = (json as { items: object[] }).items;
  assert.deepEqual(sorted(item), ['imageArn', 'imageVersion', 'microvmId', 'startedAt', 'state']);
  const path = `/2025-09-09/microvms/${String(microvmId)}`;
  assert.equal((await raw(server, 'POST', `${path}/suspend`)).text, '{}');
  assert.equal((await raw(server, 'POST', `${path}/resume`)).text, '{}');
  assert.equal((await raw(server, 'DELETE', path)).text, '{}');
  const { json: terminated } = await raw(server, 'GET', path);
  const { state, stateReason, terminatedAt } = terminated as Record<string, unknown>;
  assert.deepEqual([state, stateReason, typeof terminatedAt], ['TERMINATED', 'Success.', 'number']);
});

test('tag writes answer 204 without a body', async () => {
  const path = `/2017-03-31/tags/${imageArn}`;
  const tagged = await raw(server, 'POST', path, { Tags: { a: '1' } });
  assert.deepEqual([tagged.status, tagged.text], [204, '']);
  assert.deepEqual((await raw(server, 'GET', path)).json, { Tags: { a: '1' } });
  assert.equal((await raw(server, 'DELETE', `${path}?tagKeys=a&tagKeys=b`)).status, 204);
  assert.deepEqual((await raw(server, 'GET', path)).json, { Tags: {} });
});

test('errors carry their type in the header and a lower-case message', async () => {
  const missing = await raw(server, 'GET', '/2025-09-09/microvms/microvm-1');
  assert.equal(missing.status, 404);
  assert.equal(missing.headers.get('x-amzn-errortype'), 'ResourceNotFoundException');
  assert.deepEqual(missing.json, {
    resourceId: null,
    resourceType: null,
    message: 'MicroVM not found: microvm-1',
  });
  const version = await raw(server, 'GET', `${imagePath}/versions/9.0`);
  assert.equal(
    (version.json as { message: string }).message,
    `MicroVMImage not found for MicroVMImage: ${imageArn}, Version: 9.0`,
  );
  const missingArn = imageArn.replace(/[^:]+$/, 'nobody');
  const withoutImage = await raw(
    server,
    'GET',
    `/2025-09-09/microvm-images/${encodeURIComponent(missingArn)}/versions/1.0`,
  );
  assert.equal(withoutImage.status, 404);
  assert.deepEqual(withoutImage.json, {
    resourceId: null,
    resourceType: null,
    message: `MicroVMImage not found for MicroVMImage: ${missingArn}, Version: 1.0`,
  });
  const name = await raw(server, 'GET', '/2025-09-09/microvm-images/demo');
  assert.deepEqual([name.status, name.json], [400, { message: 'Invalid ARN format: demo' }]);
});

test('layers in front of the service spell it with a capital', async () => {
  const slash = encodeURIComponent(imageArn.replace(':demo', '/demo'));
  const denied = await raw(server, 'GET', `/2025-09-09/microvm-images/${slash}`);
  assert.equal(denied.status, 403);
  assert.equal(denied.headers.get('x-amzn-errortype'), 'AccessDeniedException');
  assert.deepEqual(sorted(denied.json), ['Message']);
  const grant = { expirationInMinutes: 1, allowedPorts: [{ allPorts: true }] };
  const expectedNull = await raw(server, 'POST', '/2025-09-09/microvms/microvm-1/auth-token', grant);
  assert.deepEqual([expectedNull.status, expectedNull.text], [400, '{"Message":"Expected null"}']);
  const notJson = await raw(server, 'POST', '/2025-09-09/microvms', '{');
  assert.deepEqual([notJson.status, sorted(notJson.json)], [400, ['Message']]);
});

test('quota errors are 402 with all their members', async () => {
  const { microvms } = server.services;
  const full = await startServer('aws', {
    services: { microvms: { ...microvms, run: async () => Promise.reject(memoryQuotaExceeded()) } },
  });
  const answer = await raw(full, 'POST', '/2025-09-09/microvms', { imageIdentifier: imageArn });
  await full.close();
  assert.equal(answer.status, 402);
  assert.equal(answer.headers.get('x-amzn-errortype'), 'ServiceQuotaExceededException');
  assert.deepEqual(answer.json, {
    quotaCode: null,
    serviceCode: null,
    resourceId: null,
    resourceType: null,
    message: 'The base maximum allocated memory limit has been reached for this account.',
  });
});

test('failures of our own are reported and hidden, throttling says when to come back', async () => {
  const { microvms } = server.services;
  const broken = await startServer('aws', {
    services: {
      microvms: {
        ...microvms,
        get: async () => Promise.reject(new Error('secret detail')),
        list: async () =>
          Promise.reject(
            new ServiceError('ThrottlingException', 'Rate exceeded', { retryAfterSeconds: 1.2 }),
          ),
      },
    },
  });
  const failed = await raw(broken, 'GET', '/2025-09-09/microvms/microvm-1');
  assert.equal(failed.status, 500);
  assert.equal(failed.headers.get('x-amzn-errortype'), 'InternalServerException');
  assert.doesNotMatch(failed.text, /secret/);
  assert.deepEqual(
    broken.faults.map((fault) => (fault as Error).message),
    ['secret detail'],
  );
  const throttled = await raw(broken, 'GET', '/2025-09-09/microvms');
  await broken.close();
  assert.equal(throttled.status, 429);
  assert.equal(throttled.headers.get('retry-after'), '2');
});

test('the aws profile keeps the documented rates, and counts only signed calls', async () => {
  const limited = await startServer('aws', { options: { rates: undefined } });
  const suspend = () => raw(limited, 'POST', '/2025-09-09/microvms/microvm-1/suspend');
  try {
    for (let call = 0; call < 5; call += 1) {
      await fetch(`${limited.url}/2025-09-09/microvms/microvm-1/suspend`, { method: 'POST' });
    }
    const answers = [await suspend(), await suspend(), await suspend()];
    assert.deepEqual(
      answers.map((answer) => answer.status),
      [404, 404, 429],
    );
    assert.equal(answers[2]?.headers.get('x-amzn-errortype'), 'ThrottlingException');
    assert.equal(answers[2]?.headers.get('retry-after'), '1');
  } finally {
    await limited.close();
  }
});

async function refused(change: {
  readonly secretAccessKey?: string;
  readonly accessKeyId?: string;
  readonly region?: string;
  readonly systemClockOffset?: number;
}): Promise<{ name: string; message: string; status: number | undefined }> {
  const { region, systemClockOffset = 0, ...keys } = change;
  const client = new LambdaMicrovmsClient({
    ...server.client,
    maxAttempts: 1,
    systemClockOffset,
    region: region ?? realm.region,
    credentials: { ...credentials, ...keys },
  });
  try {
    await client.send(new GetMicrovmCommand({ microvmIdentifier: 'microvm-1' }));
  } catch (error) {
    const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
    return { name, message, status: $metadata?.httpStatusCode };
  } finally {
    client.destroy();
  }
  return assert.fail('accepted');
}

test('wrong keys, secrets, regions and clocks are refused in the words of the service', async () => {
  for (const accessKeyId of ['AKIAOTHER', '/dev/null']) {
    assert.deepEqual(await refused({ accessKeyId }), {
      name: 'UnrecognizedClientException',
      message: 'The security token included in the request is invalid.',
      status: 403,
    });
  }
  assert.deepEqual(await refused({ secretAccessKey: 'other' }), {
    name: 'InvalidSignatureException',
    message:
      'The request signature we calculated does not match the signature you provided. ' +
      'Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
    status: 403,
  });
  const late = await refused({ systemClockOffset: -600_000 });
  assert.deepEqual([late.name, late.status], ['InvalidSignatureException', 403]);
  assert.match(late.message, /^Signature expired: \d{8}T\d{6}Z is now earlier than .* - 5 min\.\)$/);
  const early = await refused({ systemClockOffset: 600_000 });
  assert.match(early.message, /^Signature not yet current: /);
  const elsewhere = await refused({ region: 'eu-central-1' });
  assert.deepEqual([elsewhere.name, elsewhere.status], ['InvalidSignatureException', 403]);
});

test('unsigned requests are refused, unknown paths and services named', async () => {
  const bare = await fetch(`${server.url}/2025-09-09/microvms`);
  assert.equal(bare.status, 403);
  assert.equal(bare.headers.get('x-amzn-errortype'), 'MissingAuthenticationTokenException');
  assert.deepEqual(await bare.json(), { message: 'Missing Authentication Token' });
  for (const path of [
    '/',
    '/2025-09-09',
    '/2015-03-31/functions',
    `/2025-09-09/microvm-images/${imageArn}/x`,
  ]) {
    const unknown = await fetch(`${server.url}${path}`);
    assert.equal(unknown.status, 404, path);
    assert.equal(unknown.headers.get('x-amzn-errortype'), 'UnknownOperationException');
  }
  const service = await raw(server, 'GET', '/2025-09-09/microvms', undefined, 'ec2');
  assert.equal(service.headers.get('x-amzn-errortype'), 'InvalidSignatureException');
  const logs = await raw(server, 'POST', '/', {}, 'logs');
  assert.equal(logs.status, 400, 'a service that is there, without an operation');
});

test('a page token belongs to its own list', async () => {
  for (let count = 0; count < 2; count += 1) {
    await raw(server, 'POST', '/2025-09-09/microvms', { imageIdentifier: imageArn });
  }
  const first = await raw(server, 'GET', '/2025-09-09/microvms?maxResults=1');
  const token = (first.json as { nextToken: string }).nextToken;
  const next = await raw(server, 'GET', `/2025-09-09/microvms?maxResults=1&nextToken=${token}`);
  assert.equal(next.status, 200);
  for (const path of ['microvm-images?', 'microvms?imageVersion=2.0&', 'managed-microvm-images?']) {
    const other = await raw(server, 'GET', `/2025-09-09/${path}nextToken=${token}`);
    assert.deepEqual(
      [other.status, other.headers.get('x-amzn-errortype')],
      [400, 'ValidationException'],
      path,
    );
  }
});
