/** Which actions of S3 a key needs for what. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketTaggingCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  ListBucketsCommand,
  ListObjectVersionsCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { defaultBucketName } from '../../src/s3/disk-object-store.ts';
import { realm, startServer, type TestServer } from './server.ts';

const bucket = defaultBucketName(realm.accountId);
const user = (name: string): string => `arn:aws:iam::${realm.accountId}:user/${name}`;

let server: TestServer;

before(async () => {
  server = await startServer();
});

after(async () => {
  await server.close();
  assert.deepEqual(server.faults, []);
});

async function keyFor(name: string, ...statements: readonly object[]) {
  const policy = JSON.stringify({ Version: '2012-10-17', Statement: statements });
  const created = await server.services.accessKeys?.create(name, policy);
  assert.ok(created);
  return { accessKeyId: created.accessKeyId, secretAccessKey: created.secretAccessKey };
}

test('the bucket asks for s3 actions, on each object of a request', async () => {
  const open = `arn:aws:s3:::${bucket}/open/*`;
  const signer = await keyFor('uploader', { Effect: 'Allow', Action: 's3:*Object', Resource: open });
  const s3 = new S3Client({ ...server.client, credentials: signer, forcePathStyle: true, maxAttempts: 1 });
  const put = (Key: string, Body = 'x') => s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
  await put('open/a');
  await put('open/b');
  await server.services.objects.copy({ bucket, key: 'open/a' }, { bucket, key: 'closed' }, undefined);
  await assert.rejects(put('closed', 'y'.repeat(100_000)), {
    name: 'AccessDenied',
    message: `User: ${user('uploader')} is not authorized to perform: s3:PutObject on resource: "arn:aws:s3:::${bucket}/closed" because no identity-based policy allows the s3:PutObject action`,
  });
  await assert.rejects(s3.send(new GetObjectCommand({ Bucket: bucket, Key: 'closed' })), {
    name: 'AccessDenied',
  });
  await assert.rejects(s3.send(new ListBucketsCommand({})), { name: 'AccessDenied' });
  await assert.rejects(
    s3.send(new CopyObjectCommand({ Bucket: bucket, Key: 'open/c', CopySource: `${bucket}/closed` })),
    { name: 'AccessDenied' },
  );
  const gone = await s3.send(
    new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: [{ Key: 'open/b' }, { Key: 'closed' }] } }),
  );
  assert.deepEqual(
    [gone.Deleted?.map(({ Key }) => Key), gone.Errors?.map(({ Key, Code }) => [Key, Code])],
    [['open/b'], [['closed', 'AccessDenied']]],
  );
  assert.equal((await server.services.objects.head(bucket, 'closed')).size, 1);
  s3.destroy();
});

test('settings and versions of a bucket have actions of their own', async () => {
  const all = [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`];
  const signer = await keyFor(
    'tagger',
    { Effect: 'Allow', Action: 's3:*', Resource: all },
    {
      Effect: 'Deny',
      Action: ['s3:PutBucketPolicy', 's3:DeleteObject', 's3:GetObjectVersion', 's3:*Tagging'],
      Resource: all,
    },
  );
  const s3 = new S3Client({ ...server.client, credentials: signer, forcePathStyle: true, maxAttempts: 1 });
  const object = { Bucket: bucket, Key: 'kept' };
  const tagged = { ...object, Body: 'x', Tagging: 'a=b' };
  const refused = { name: 'AccessDenied' };
  await s3.send(new PutObjectCommand({ ...object, Body: 'x' }));
  await s3.send(new GetObjectCommand(object));
  const one = { ...object, VersionId: 'null' };
  await assert.rejects(s3.send(new GetObjectCommand(one)), refused);
  await assert.rejects(s3.send(new DeleteObjectCommand(one)), refused);
  const Delete = { Objects: [{ Key: 'kept', VersionId: 'null' }] };
  const { Errors } = await s3.send(new DeleteObjectsCommand({ Bucket: bucket, Delete }));
  assert.deepEqual(
    Errors?.map(({ Code }) => Code),
    ['AccessDenied'],
  );
  await assert.rejects(s3.send(new PutObjectCommand(tagged)), refused);
  await assert.rejects(s3.send(new GetObjectTaggingCommand(object)), refused);
  await server.services.objects.setTags(bucket, 'kept', { a: 'b' });
  const CopySource = `${bucket}/kept`;
  await assert.rejects(s3.send(new CopyObjectCommand({ ...object, Key: 'to', CopySource })), refused);
  const TaggingDirective = 'REPLACE';
  await s3.send(new CopyObjectCommand({ ...object, Key: 'to', CopySource, TaggingDirective }));
  await assert.rejects(s3.send(new GetBucketTaggingCommand({ Bucket: bucket })), refused);
  await assert.rejects(s3.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy: '{}' })), refused);
  await s3.send(new ListObjectVersionsCommand({ Bucket: bucket }));
  s3.destroy();
});
