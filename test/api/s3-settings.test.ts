/** What tools set on buckets when they set themselves up, and ask of them later. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as s3 from '@aws-sdk/client-s3';
import { raw } from './raw.ts';
import { realm, startServer, type TestServer } from './server.ts';

const Bucket = 'tools';

let server: TestServer;
let client: s3.S3Client;

before(async () => {
  server = await startServer();
  client = new s3.S3Client({ ...server.client, forcePathStyle: true, maxAttempts: 1 });
  await client.send(new s3.CreateBucketCommand({ Bucket }));
});

after(async () => {
  client.destroy();
  await server.close();
  assert.deepEqual(server.faults, []);
});

test('an access block is kept and taken away', async () => {
  const get = new s3.GetPublicAccessBlockCommand({ Bucket });
  const none = { name: 'NoSuchPublicAccessBlockConfiguration' };
  await assert.rejects(client.send(get), none);
  const PublicAccessBlockConfiguration = {
    BlockPublicAcls: true,
    IgnorePublicAcls: true,
    BlockPublicPolicy: true,
    RestrictPublicBuckets: false,
  };
  await client.send(new s3.PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration }));
  assert.deepEqual((await client.send(get)).PublicAccessBlockConfiguration, PublicAccessBlockConfiguration);
  await client.send(new s3.DeletePublicAccessBlockCommand({ Bucket }));
  await assert.rejects(client.send(get), none);
});

test('encryption is AES256 from the start, and no key is taken that would not be used', async () => {
  const algorithm = async () => {
    const answer = await client.send(new s3.GetBucketEncryptionCommand({ Bucket }));
    const [rule] = answer.ServerSideEncryptionConfiguration?.Rules ?? [];
    return [rule?.ApplyServerSideEncryptionByDefault?.SSEAlgorithm, rule?.BucketKeyEnabled];
  };
  const put = (SSEAlgorithm: s3.ServerSideEncryption, BucketKeyEnabled: boolean) =>
    client.send(
      new s3.PutBucketEncryptionCommand({
        Bucket,
        ServerSideEncryptionConfiguration: {
          Rules: [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm }, BucketKeyEnabled }],
        },
      }),
    );
  assert.deepEqual(await algorithm(), ['AES256', false]);
  await put('AES256', true);
  await assert.rejects(put('aws:kms', true), { name: 'NotImplemented' });
  assert.deepEqual(await algorithm(), ['AES256', true]);
  await client.send(new s3.DeleteBucketEncryptionCommand({ Bucket }));
  assert.deepEqual(await algorithm(), ['AES256', false]);
});

test('a lifecycle is kept with ids for its rules', async () => {
  const get = new s3.GetBucketLifecycleConfigurationCommand({ Bucket });
  await assert.rejects(client.send(get), { name: 'NoSuchLifecycleConfiguration' });
  const put = (...Rules: s3.LifecycleRule[]) =>
    client.send(new s3.PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules } }));
  const rule: s3.LifecycleRule = {
    Status: 'Enabled',
    Filter: { And: { Prefix: 'tmp/<&>', Tags: [{ Key: 'a', Value: 'b' }] } },
    Expiration: { Days: 30 },
    NoncurrentVersionExpiration: { NoncurrentDays: 7 },
  };
  await put({ ...rule, ID: 'old' }, rule);
  const { Rules = [] } = await client.send(get);
  assert.deepEqual(Rules[0], { ...rule, ID: 'old' });
  assert.match(Rules[1]?.ID ?? '', /^[0-9a-f-]{36}$/);
  await assert.rejects(put({ ...rule, ID: 'old' }, { ...rule, ID: 'old' }), { name: 'InvalidArgument' });
  await assert.rejects(put({ Status: 'Enabled', Filter: {} }), { name: 'InvalidRequest' });
  await client.send(new s3.DeleteBucketLifecycleCommand({ Bucket }));
  await assert.rejects(client.send(get), { name: 'NoSuchLifecycleConfiguration' });
});

test('a policy is kept to the letter, and a malformed one changes nothing', async () => {
  const get = new s3.GetBucketPolicyCommand({ Bucket });
  await assert.rejects(client.send(get), { name: 'NoSuchBucketPolicy' });
  const Policy = JSON.stringify(
    {
      Version: '2012-10-17',
      Statement: [
        {
          Sid: 'TLS',
          Effect: 'Deny',
          Principal: '*',
          Action: 's3:*',
          Resource: `arn:aws:s3:::${Bucket}/*`,
          Condition: { Bool: { 'aws:SecureTransport': 'false' } },
        },
      ],
    },
    undefined,
    2,
  );
  await client.send(new s3.PutBucketPolicyCommand({ Bucket, Policy }));
  for (const wrong of ['{', '[]', '{"Statement":[]}', '{"Statement":{"Effect":"Allow"}}']) {
    await assert.rejects(client.send(new s3.PutBucketPolicyCommand({ Bucket, Policy: wrong })), {
      name: 'MalformedPolicy',
    });
  }
  const large = `${Policy}${' '.repeat(20 * 1024)}`;
  await assert.rejects(client.send(new s3.PutBucketPolicyCommand({ Bucket, Policy: large })), {
    name: 'EntityTooLarge',
  });
  assert.equal((await client.send(get)).Policy, Policy);
  const status = await client.send(new s3.GetBucketPolicyStatusCommand({ Bucket }));
  assert.equal(status.PolicyStatus?.IsPublic, false);
  await client.send(new s3.DeleteBucketPolicyCommand({ Bucket }));
  await assert.rejects(client.send(get), { name: 'NoSuchBucketPolicy' });
});

test('ownership and versioning are kept', async () => {
  const ownership = new s3.GetBucketOwnershipControlsCommand({ Bucket });
  await assert.rejects(client.send(ownership), { name: 'OwnershipControlsNotFoundError' });
  const Rules = [{ ObjectOwnership: 'BucketOwnerEnforced' as const }];
  await client.send(new s3.PutBucketOwnershipControlsCommand({ Bucket, OwnershipControls: { Rules } }));
  assert.deepEqual((await client.send(ownership)).OwnershipControls?.Rules, Rules);
  await client.send(new s3.DeleteBucketOwnershipControlsCommand({ Bucket }));
  await assert.rejects(client.send(ownership), { name: 'OwnershipControlsNotFoundError' });

  const versioning = async () => (await client.send(new s3.GetBucketVersioningCommand({ Bucket }))).Status;
  const set = (VersioningConfiguration: s3.VersioningConfiguration) =>
    client.send(new s3.PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
  assert.equal(await versioning(), undefined);
  await set({ Status: 'Enabled' });
  await assert.rejects(set({ Status: 'Suspended', MFADelete: 'Enabled' }), { name: 'NotImplemented' });
  assert.equal(await versioning(), 'Enabled');
});

test('tags of buckets are kept', async () => {
  const get = new s3.GetBucketTaggingCommand({ Bucket });
  await assert.rejects(client.send(get), { name: 'NoSuchTagSet' });
  const put = (...TagSet: s3.Tag[]) =>
    client.send(new s3.PutBucketTaggingCommand({ Bucket, Tagging: { TagSet } }));
  const tags = [
    { Key: 'team', Value: 'a<b&"c"' },
    { Key: 'empty', Value: '' },
  ];
  await put(...tags);
  assert.deepEqual((await client.send(get)).TagSet, tags);
  const twice = [
    { Key: 'a', Value: '1' },
    { Key: 'a', Value: '2' },
  ];
  await assert.rejects(put(...twice), { name: 'InvalidTag' });
  await assert.rejects(put({ Key: 'k'.repeat(129), Value: '' }), { name: 'InvalidTag' });
  const many = Array.from({ length: 51 }, (_, index) => ({ Key: `${index}`, Value: '' }));
  await assert.rejects(put(...many), { name: 'InvalidTag' });
  assert.deepEqual((await client.send(get)).TagSet, tags);
  await client.send(new s3.DeleteBucketTaggingCommand({ Bucket }));
  await assert.rejects(client.send(get), { name: 'NoSuchTagSet' });
});

test('tags of objects come with them, go to copies, and are replaced', async () => {
  const tagsOf = async (Key: string) =>
    (await client.send(new s3.GetObjectTaggingCommand({ Bucket, Key }))).TagSet;
  await client.send(
    new s3.PutObjectCommand({
      Bucket,
      Key: 'tagged',
      Body: 'x',
      Tagging: 'a=1&b%20c=d+e',
      Metadata: { m: '1' },
    }),
  );
  const first = [
    { Key: 'a', Value: '1' },
    { Key: 'b c', Value: 'd e' },
  ];
  assert.deepEqual(await tagsOf('tagged'), first);
  const CopySource = `${Bucket}/tagged`;
  await client.send(new s3.CopyObjectCommand({ Bucket, Key: 'copy', CopySource }));
  assert.deepEqual(await tagsOf('copy'), first);
  await client.send(
    new s3.CopyObjectCommand({ Bucket, Key: 'copy', CopySource, TaggingDirective: 'REPLACE', Tagging: 'z=' }),
  );
  assert.deepEqual(await tagsOf('copy'), [{ Key: 'z', Value: '' }]);
  const TagSet = [{ Key: 'new', Value: 'yes' }];
  await client.send(new s3.PutObjectTaggingCommand({ Bucket, Key: 'tagged', Tagging: { TagSet } }));
  const head = await client.send(new s3.HeadObjectCommand({ Bucket, Key: 'tagged' }));
  assert.deepEqual([head.TagCount, head.Metadata], [1, { m: '1' }]);
  assert.deepEqual(await tagsOf('tagged'), TagSet);
  await client.send(new s3.DeleteObjectTaggingCommand({ Bucket, Key: 'tagged' }));
  assert.deepEqual(await tagsOf('tagged'), []);
  await assert.rejects(tagsOf('nothing'), { name: 'NoSuchKey' });

  const large = { Bucket, Key: 'parts' };
  const { UploadId } = await client.send(new s3.CreateMultipartUploadCommand({ ...large, Tagging: 'p=q' }));
  const { ETag } = await client.send(
    new s3.UploadPartCommand({ ...large, UploadId, PartNumber: 1, Body: 'part' }),
  );
  const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
  await client.send(new s3.CompleteMultipartUploadCommand({ ...large, UploadId, MultipartUpload }));
  assert.deepEqual(await tagsOf('parts'), [{ Key: 'p', Value: 'q' }]);
});

test('versions are listed in pages, and a bucket is emptied by what the list says', async () => {
  const full = { Bucket: 'versions' };
  await client.send(new s3.CreateBucketCommand(full));
  const keys = ['a', 'b/1', 'b/2', 'c'];
  for (const Key of keys) await client.send(new s3.PutObjectCommand({ ...full, Key, Body: Key }));
  const folded = await client.send(new s3.ListObjectVersionsCommand({ ...full, Delimiter: '/' }));
  assert.deepEqual(
    [folded.Versions?.map(({ Key }) => Key), folded.CommonPrefixes?.map(({ Prefix }) => Prefix)],
    [['a', 'c'], ['b/']],
  );
  const found: s3.ObjectIdentifier[] = [];
  let marker: string | undefined = '';
  while (marker !== undefined) {
    const page: s3.ListObjectVersionsCommandOutput = await client.send(
      new s3.ListObjectVersionsCommand({ ...full, MaxKeys: 2, KeyMarker: marker }),
    );
    for (const { Key, VersionId, IsLatest } of page.Versions ?? []) {
      assert.ok(IsLatest);
      found.push({ Key, VersionId });
    }
    marker = page.NextKeyMarker;
  }
  assert.deepEqual(
    found,
    keys.map((Key) => ({ Key, VersionId: 'null' })),
  );
  const got = await client.send(new s3.GetObjectCommand({ ...full, Key: 'a', VersionId: 'null' }));
  assert.equal(await got.Body?.transformToString(), 'a');
  const other = { ...full, Key: 'a', VersionId: 'L4kqtJlcpXroDTDmpUMLUo' };
  await assert.rejects(client.send(new s3.GetObjectCommand(other)), { name: 'NoSuchVersion' });
  await assert.rejects(client.send(new s3.DeleteObjectCommand(other)), { name: 'NoSuchVersion' });
  const CopySource = `versions/a?versionId=${other.VersionId}`;
  await assert.rejects(client.send(new s3.CopyObjectCommand({ ...full, Key: 'd', CopySource })), {
    name: 'NoSuchVersion',
  });
  const Objects = [...found, { Key: 'a', VersionId: other.VersionId }];
  const gone = await client.send(new s3.DeleteObjectsCommand({ ...full, Delete: { Objects } }));
  assert.equal(gone.Deleted?.length, keys.length);
  assert.deepEqual(
    gone.Errors?.map(({ Code }) => Code),
    ['NoSuchVersion'],
  );
  await client.send(new s3.DeleteBucketCommand(full));
});

test('what is set on a bucket goes with it', async () => {
  const other = { Bucket: 'short-lived' };
  const Tagging = { TagSet: [{ Key: 'a', Value: 'b' }] };
  await client.send(new s3.CreateBucketCommand(other));
  await client.send(new s3.PutBucketTaggingCommand({ ...other, Tagging }));
  await client.send(new s3.DeleteBucketCommand(other));
  const get = new s3.GetBucketTaggingCommand(other);
  await assert.rejects(client.send(get), { name: 'NoSuchBucket' });
  await assert.rejects(client.send(new s3.PutBucketTaggingCommand({ ...other, Tagging })), {
    name: 'NoSuchBucket',
  });
  await client.send(new s3.CreateBucketCommand(other));
  await assert.rejects(client.send(get), { name: 'NoSuchTagSet' });
});

test('what cannot be set is told as the service tells of what was never set', async () => {
  const acl = await client.send(new s3.GetBucketAclCommand({ Bucket }));
  assert.deepEqual(
    acl.Grants?.map(({ Grantee, Permission }) => [Grantee?.Type, Grantee?.ID, Permission]),
    [['CanonicalUser', realm.accountId, 'FULL_CONTROL']],
  );
  assert.deepEqual((await client.send(new s3.GetBucketLoggingCommand({ Bucket }))).LoggingEnabled, undefined);
  const payer = await client.send(new s3.GetBucketRequestPaymentCommand({ Bucket }));
  assert.equal(payer.Payer, 'BucketOwner');
  for (const [Command, name] of [
    [s3.GetBucketCorsCommand, 'NoSuchCORSConfiguration'],
    [s3.GetBucketWebsiteCommand, 'NoSuchWebsiteConfiguration'],
    [s3.GetBucketReplicationCommand, 'ReplicationConfigurationNotFoundError'],
    [s3.GetObjectLockConfigurationCommand, 'ObjectLockConfigurationNotFoundError'],
  ] as const) {
    await assert.rejects(client.send(new Command({ Bucket })), { name });
    await assert.rejects(client.send(new Command({ Bucket: 'no-such-bucket' })), { name: 'NoSuchBucket' });
  }
  for (const parameter of ['cors', 'acl', 'website', 'replication']) {
    const answer = await raw(server, 'PUT', `/${Bucket}?${parameter}`, '<a/>', 's3');
    assert.deepEqual([answer.status, /<Code>NotImplemented</.test(answer.text)], [501, true], parameter);
  }
});

test('documents that are none are refused and change nothing', async () => {
  const kept = await client.send(new s3.GetBucketVersioningCommand({ Bucket }));
  for (const [parameter, body] of [
    [
      'publicAccessBlock',
      '<PublicAccessBlockConfiguration><Other>true</Other></PublicAccessBlockConfiguration>',
    ],
    ['publicAccessBlock', '<a/>'],
    ['encryption', '<ServerSideEncryptionConfiguration/>'],
    ['lifecycle', '<LifecycleConfiguration/>'],
    ['versioning', '<VersioningConfiguration><Status>On</Status></VersioningConfiguration>'],
    ['ownershipControls', '<OwnershipControls><Rule/></OwnershipControls>'],
    ['tagging', '<Tagging/>'],
    ['tagging', 'no XML'],
  ] as const) {
    const { status, text } = await raw(server, 'PUT', `/${Bucket}?${parameter}`, body, 's3');
    assert.deepEqual([status, /<Code>MalformedXML</.test(text)], [400, true], `${parameter} ${text}`);
  }
  assert.deepEqual((await client.send(new s3.GetBucketVersioningCommand({ Bucket }))).Status, kept.Status);
});
