import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { GetMicrovmCommand, LambdaMicrovmsClient } from '@aws-sdk/client-lambda-microvms';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import type { SigningCredentials } from '../../src/api/sigv4/sign.ts';
import { signRequest } from '../../src/api/sigv4/sign.ts';
import { type Clock, systemClock } from '../../src/model/clock.ts';
import { defaultBucketName } from '../../src/s3/disk-object-store.ts';
import { credentials, realm, startServer, type TestServer } from './server.ts';

let server: TestServer;
let offset = 0;

before(async () => {
  const clock: Clock = { ...systemClock, now: () => Date.now() + offset };
  server = await startServer('relaxed', { options: { clock } });
});

after(async () => {
  await server.close();
  assert.deepEqual(server.faults, []);
});

async function sts(form: Record<string, string>, signer: SigningCredentials = credentials) {
  const url = new URL(server.url);
  const body = String(new URLSearchParams({ ...form, Version: '2011-06-15' }));
  const headers = signRequest(
    { method: 'POST', url, body },
    { credentials: signer, region: realm.region, service: 'sts', time: Date.now() + offset },
  );
  const response = await fetch(url, { method: 'POST', headers, body });
  const text = await response.text();
  return {
    status: response.status,
    value: (name: string) => new RegExp(`<${name}>(.*?)</${name}>`, 's').exec(text)?.[1],
  };
}

/** What XML escapes in base64 is nothing, so values are taken as they stand. */
async function session(
  form: Record<string, string>,
  signer?: SigningCredentials,
): Promise<SigningCredentials & { sessionToken: string }> {
  const { status, value } = await sts(form, signer);
  assert.equal(status, 200);
  return {
    accessKeyId: value('AccessKeyId') ?? '',
    secretAccessKey: value('SecretAccessKey') ?? '',
    sessionToken: value('SessionToken') ?? '',
  };
}

const role = {
  Action: 'AssumeRole',
  RoleArn: `arn:aws:iam::${realm.accountId}:role/path/worker`,
  RoleSessionName: 'me',
};

test('tells who calls', async () => {
  const { status, value } = await sts({ Action: 'GetCallerIdentity' });
  assert.equal(status, 200);
  assert.equal(value('Arn'), `arn:aws:iam::${realm.accountId}:root`);
  assert.equal(value('Account'), realm.accountId);
  assert.equal(value('UserId'), realm.accountId);
});

test('refuses in its own words', async () => {
  const code = async (form: Record<string, string>, signer?: SigningCredentials) => {
    const { status, value } = await sts(form, signer);
    return [status, value('Code')];
  };
  const identity = { Action: 'GetCallerIdentity' };
  assert.deepEqual(await code({ Action: 'Other' }), [400, 'InvalidAction']);
  assert.deepEqual(await code(identity, { ...credentials, accessKeyId: 'AKIAOTHER' }), [
    403,
    'InvalidClientTokenId',
  ]);
  assert.deepEqual(await code(identity, { ...credentials, secretAccessKey: 'x' }), [
    403,
    'SignatureDoesNotMatch',
  ]);
  assert.deepEqual(await code({ Action: 'AssumeRole' }), [400, 'ValidationError']);
  assert.deepEqual(await code({ ...role, DurationSeconds: '899' }), [400, 'ValidationError']);
  const RoleArn = role.RoleArn.replace(realm.accountId, '210987654321');
  assert.deepEqual(await code({ ...role, RoleArn }), [403, 'AccessDenied']);
});

test('gives credentials that every service takes', async () => {
  const temporary = await session(role);
  const identity = await sts({ Action: 'GetCallerIdentity' }, temporary);
  assert.equal(identity.value('Arn'), `arn:aws:sts::${realm.accountId}:assumed-role/worker/me`);

  const client = new LambdaMicrovmsClient({ ...server.client, credentials: temporary, maxAttempts: 1 });
  await assert.rejects(client.send(new GetMicrovmCommand({ microvmIdentifier: 'a' })), {
    name: 'ResourceNotFoundException',
  });
  client.destroy();

  const s3 = new S3Client({ ...server.client, credentials: temporary, forcePathStyle: true, maxAttempts: 1 });
  const object = { Bucket: defaultBucketName(realm.accountId), Key: 'temporary' };
  await s3.send(new PutObjectCommand({ ...object, Body: 'hello' }));
  assert.equal(await (await s3.send(new GetObjectCommand(object))).Body?.transformToString(), 'hello');
  s3.destroy();
});

test('takes them only with their own token', async () => {
  const one = await session(role);
  const other = await session({ Action: 'GetSessionToken' });
  const { accessKeyId, secretAccessKey } = one;
  const changed = `${one.sessionToken.startsWith('A') ? 'B' : 'A'}${one.sessionToken.slice(1)}`;
  for (const sessionToken of [undefined, other.sessionToken, changed, '']) {
    const { status, value } = await sts(
      { Action: 'GetCallerIdentity' },
      { accessKeyId, secretAccessKey, sessionToken },
    );
    assert.deepEqual([status, value('Code')], [403, 'InvalidClientTokenId']);
  }
  const again = await sts({ Action: 'GetSessionToken' }, one);
  assert.deepEqual([again.status, again.value('Code')], [403, 'AccessDenied']);
});

test('ends them in time', async () => {
  const temporary = await session({ Action: 'GetSessionToken', DurationSeconds: '900' });
  try {
    offset = 890_000;
    assert.equal((await sts({ Action: 'GetCallerIdentity' }, temporary)).status, 200);
    offset = 900_001;
    const { status, value } = await sts({ Action: 'GetCallerIdentity' }, temporary);
    assert.deepEqual([status, value('Code')], [403, 'ExpiredToken']);
  } finally {
    offset = 0;
  }
});
