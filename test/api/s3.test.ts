import assert from 'node:assert/strict';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import {
  AbortMultipartUploadCommand,
  type ChecksumAlgorithm,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketLocationCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  PutObjectCommand,
  paginateListObjectsV2,
  S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { presignUrl } from '../../src/api/sigv4/sign.ts';
import { defaultBucketName } from '../../src/s3/disk-object-store.ts';
import { raw } from './raw.ts';
import { credentials, realm, startServer, type TestServer } from './server.ts';

const Bucket = defaultBucketName(realm.accountId);
const partSize = 5 * 1024 * 1024;

let server: TestServer;
let client: S3Client;

before(async () => {
  server = await startServer();
  client = new S3Client({ ...server.client, forcePathStyle: true, maxAttempts: 1 });
});

after(async () => {
  client.destroy();
  await server.close();
  assert.deepEqual(server.faults, []);
});

async function read(Key: string, Range?: string): Promise<Buffer> {
  const { Body } = await client.send(
    new GetObjectCommand({ Bucket, Key, ...(Range === undefined ? {} : { Range }) }),
  );
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

test('keeps objects, their metadata and headers', async () => {
  const Key = 'a b/ü+~*(1)/%41/../x';
  const Body = randomBytes(300_000);
  const put = await client.send(
    new PutObjectCommand({
      Bucket,
      Key,
      Body,
      ContentType: 'application/zip',
      CacheControl: 'no-store',
      Metadata: { origin: 'test' },
    }),
  );
  assert.equal(put.ETag, `"${createHash('md5').update(Body).digest('hex')}"`);
  const got = await client.send(new GetObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));
  assert.deepEqual(Buffer.from((await got.Body?.transformToByteArray()) ?? []), Body);
  assert.equal(got.ContentType, 'application/zip');
  assert.equal(got.CacheControl, 'no-store');
  assert.deepEqual(got.Metadata, { origin: 'test' });
  assert.equal(got.ChecksumCRC32, put.ChecksumCRC32);
  const head = await client.send(new HeadObjectCommand({ Bucket, Key }));
  assert.equal(head.ContentLength, Body.length);
  assert.equal(head.ETag, put.ETag);
});

test('gives ranges', async () => {
  await client.send(new PutObjectCommand({ Bucket, Key: 'range', Body: '0123456789' }));
  assert.equal((await read('range', 'bytes=2-4')).toString(), '234');
  assert.equal((await read('range', 'bytes=-3')).toString(), '789');
  assert.equal((await read('range', 'bytes=8-')).toString(), '89');
  await assert.rejects(read('range', 'bytes=10-'), { name: 'InvalidRange' });
  await client.send(new PutObjectCommand({ Bucket, Key: 'empty', Body: '' }));
  assert.equal((await read('empty')).length, 0);
});

test('takes streams with trailing checksums of every kind', async () => {
  const content = randomBytes(200_000);
  const algorithms: ChecksumAlgorithm[] = ['CRC32', 'CRC32C', 'SHA1', 'SHA256'];
  for (const ChecksumAlgorithm of algorithms) {
    const Key = `stream-${ChecksumAlgorithm}`;
    const Body = Readable.from([content.subarray(0, 70_000), content.subarray(70_000)]);
    const put = await client.send(
      new PutObjectCommand({ Bucket, Key, Body, ContentLength: content.length, ChecksumAlgorithm }),
    );
    const head = await client.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));
    const name = `Checksum${ChecksumAlgorithm}` as const;
    assert.ok(put[name as never]);
    assert.equal(head[name as never], put[name as never]);
    assert.equal(head.ContentEncoding, undefined);
    assert.deepEqual(await read(Key), content);
  }
});

test('refuses a body that is not what was announced, and keeps what was there', async () => {
  await client.send(new PutObjectCommand({ Bucket, Key: 'kept', Body: 'old' }));
  const wrong = { Bucket, Key: 'kept', Body: 'new' };
  await assert.rejects(client.send(new PutObjectCommand({ ...wrong, ChecksumCRC32: 'AAAAAA==' })), {
    name: 'BadDigest',
  });
  const ContentMD5 = createHash('md5').update('other').digest('base64');
  await assert.rejects(client.send(new PutObjectCommand({ ...wrong, ContentMD5 })), { name: 'BadDigest' });
  assert.equal((await read('kept')).toString(), 'old');
});

test('writes on condition', async () => {
  const Key = 'conditional';
  const first = await client.send(new PutObjectCommand({ Bucket, Key, Body: '1', IfNoneMatch: '*' }));
  await assert.rejects(client.send(new PutObjectCommand({ Bucket, Key, Body: '2', IfNoneMatch: '*' })), {
    name: 'PreconditionFailed',
  });
  await client.send(new PutObjectCommand({ Bucket, Key, Body: '3', IfMatch: first.ETag }));
  await assert.rejects(client.send(new PutObjectCommand({ Bucket, Key, Body: '4', IfMatch: first.ETag })), {
    name: 'PreconditionFailed',
  });
  assert.equal((await read(Key)).toString(), '3');
  await assert.rejects(client.send(new GetObjectCommand({ Bucket, Key, IfMatch: first.ETag })), {
    name: 'PreconditionFailed',
  });
});

async function list(input: { Prefix?: string; Delimiter?: string; StartAfter?: string }, pageSize: number) {
  const keys: (string | undefined)[] = [];
  for await (const page of paginateListObjectsV2({ client, pageSize }, { Bucket: 'listing', ...input })) {
    const found = [...(page.Contents ?? []), ...(page.CommonPrefixes ?? [])];
    assert.ok(found.length <= pageSize);
    assert.equal(page.KeyCount, found.length);
    keys.push(
      ...(page.Contents ?? []).map((object) => object.Key),
      ...(page.CommonPrefixes ?? []).map((prefix) => prefix.Prefix),
    );
  }
  return keys.sort();
}

test('lists in pages, by prefix and by delimiter', async () => {
  await client.send(new CreateBucketCommand({ Bucket: 'listing' }));
  const keys = ['a', 'b/1', 'b/2', 'b/c/3', 'd/4', 'd<&>5', 'e\n6'];
  for (const Key of keys) await client.send(new PutObjectCommand({ Bucket: 'listing', Key, Body: Key }));
  for (const pageSize of [1, 2, 3, 1000]) {
    assert.deepEqual(await list({}, pageSize), keys);
    assert.deepEqual(await list({ Prefix: 'b/' }, pageSize), ['b/1', 'b/2', 'b/c/3']);
    assert.deepEqual(await list({ Delimiter: '/' }, pageSize), ['a', 'b/', 'd/', 'd<&>5', 'e\n6']);
    assert.deepEqual(await list({ Prefix: 'b/', Delimiter: '/' }, pageSize), ['b/1', 'b/2', 'b/c/']);
    assert.deepEqual(await list({ StartAfter: 'b/2' }, pageSize), ['b/c/3', 'd/4', 'd<&>5', 'e\n6']);
  }
  await assert.rejects(client.send(new DeleteBucketCommand({ Bucket: 'listing' })), {
    name: 'BucketNotEmpty',
  });
  const deleted = await client.send(
    new DeleteObjectsCommand({ Bucket: 'listing', Delete: { Objects: keys.map((Key) => ({ Key })) } }),
  );
  assert.deepEqual(deleted.Deleted?.map((object) => object.Key).sort(), keys);
  await client.send(new DeleteBucketCommand({ Bucket: 'listing' }));
  await assert.rejects(client.send(new HeadBucketCommand({ Bucket: 'listing' })), { name: 'NotFound' });
});

test('copies, within itself with new metadata only', async () => {
  await client.send(new PutObjectCommand({ Bucket, Key: 'src é', Body: 'copied', Metadata: { a: '1' } }));
  const CopySource = encodeURIComponent(`${Bucket}/src é`);
  await client.send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource }));
  await client.send(new DeleteObjectCommand({ Bucket, Key: 'src é' }));
  assert.equal((await read('copy')).toString(), 'copied');
  const itself = { Bucket, Key: 'copy', CopySource: `/${Bucket}/copy` };
  await assert.rejects(client.send(new CopyObjectCommand(itself)), { name: 'InvalidRequest' });
  await client.send(new CopyObjectCommand({ ...itself, MetadataDirective: 'REPLACE', Metadata: { b: '2' } }));
  const head = await client.send(new HeadObjectCommand({ Bucket, Key: 'copy' }));
  assert.deepEqual(head.Metadata, { b: '2' });
  await assert.rejects(
    client.send(new CopyObjectCommand({ Bucket, Key: 'x', CopySource: `${Bucket}/none` })),
    { name: 'NoSuchKey' },
  );
});

test('assembles multipart uploads', async () => {
  const Key = 'large';
  const content = randomBytes(partSize + 1000);
  const { UploadId } = await client.send(
    new CreateMultipartUploadCommand({ Bucket, Key, Metadata: { a: '1' }, ChecksumAlgorithm: 'SHA256' }),
  );
  const upload = { Bucket, Key, UploadId };
  const part = async (PartNumber: number, Body: Buffer) => {
    const sent = await client.send(
      new UploadPartCommand({ ...upload, PartNumber, Body, ChecksumAlgorithm: 'SHA256' }),
    );
    return { PartNumber, ETag: sent.ETag, ChecksumSHA256: sent.ChecksumSHA256 };
  };
  const second = await part(2, content.subarray(partSize));
  await part(1, Buffer.from('replaced'));
  const first = await part(1, content.subarray(0, partSize));
  const parts = await client.send(new ListPartsCommand(upload));
  assert.deepEqual(
    parts.Parts?.map((item) => item.Size),
    [partSize, 1000],
  );
  const complete = (Parts: (typeof first)[]) =>
    client.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } }));
  await assert.rejects(complete([second, first]), { name: 'InvalidPartOrder' });
  await assert.rejects(complete([first, { ...second, ETag: first.ETag }]), { name: 'InvalidPart' });
  const done = await complete([first, second]);
  assert.match(done.ETag ?? '', /^"[0-9a-f]{32}-2"$/);
  const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest();
  const composite = sha256(
    Buffer.concat([sha256(content.subarray(0, partSize)), sha256(content.subarray(partSize))]),
  );
  assert.equal(done.ChecksumSHA256, `${composite.toString('base64')}-2`);
  assert.deepEqual(await read(Key), content);
  await assert.rejects(complete([first, second]), { name: 'NoSuchUpload' });
});

test('refuses small parts, copies parts, aborts', async () => {
  const Key = 'pieces';
  await client.send(new PutObjectCommand({ Bucket, Key: 'source', Body: randomBytes(partSize + 10) }));
  const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
  const upload = { Bucket, Key, UploadId };
  const copied = await client.send(
    new UploadPartCopyCommand({
      ...upload,
      PartNumber: 1,
      CopySource: `${Bucket}/source`,
      CopySourceRange: `bytes=10-${partSize + 9}`,
    }),
  );
  const small = await client.send(new UploadPartCommand({ ...upload, PartNumber: 2, Body: 'small' }));
  const last = await client.send(new UploadPartCommand({ ...upload, PartNumber: 3, Body: 'last' }));
  const Parts = [
    { PartNumber: 1, ETag: copied.CopyPartResult?.ETag },
    { PartNumber: 2, ETag: small.ETag },
    { PartNumber: 3, ETag: last.ETag },
  ];
  await assert.rejects(
    client.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } })),
    { name: 'EntityTooSmall' },
  );
  const uploads = await client.send(new ListMultipartUploadsCommand({ Bucket }));
  assert.deepEqual(
    uploads.Uploads?.map((item) => item.UploadId),
    [UploadId],
  );
  await client.send(new AbortMultipartUploadCommand(upload));
  await assert.rejects(client.send(new ListPartsCommand(upload)), { name: 'NoSuchUpload' });
});

test('has its default bucket always, and says what is not there', async () => {
  const { Buckets } = await client.send(new ListBucketsCommand({}));
  assert.ok(Buckets?.some((bucket) => bucket.Name === Bucket));
  await client.send(new CreateBucketCommand({ Bucket }));
  await assert.rejects(client.send(new DeleteBucketCommand({ Bucket })), { name: 'AccessDenied' });
  const location = await client.send(new GetBucketLocationCommand({ Bucket }));
  assert.equal(location.LocationConstraint, undefined);
  await assert.rejects(client.send(new GetObjectCommand({ Bucket, Key: 'none' })), { name: 'NoSuchKey' });
  await assert.rejects(client.send(new HeadObjectCommand({ Bucket, Key: 'none' })), { name: 'NotFound' });
  await assert.rejects(client.send(new PutObjectCommand({ Bucket: 'none', Key: 'a', Body: 'a' })), {
    name: 'NoSuchBucket',
  });
  await assert.rejects(client.send(new CreateBucketCommand({ Bucket: 'Bad_Name' })), {
    name: 'InvalidBucketName',
  });
  await assert.rejects(client.send(new PutObjectCommand({ Bucket, Key: 'x'.repeat(1025), Body: 'a' })), {
    name: 'KeyTooLongError',
  });
  const metrics = await raw(server, 'GET', `/${Bucket}?metrics`, undefined, 's3');
  assert.deepEqual([metrics.status, /<Code>NotImplemented<\/Code>/.test(metrics.text)], [501, true]);
});

test('takes presigned URLs', async () => {
  const presigned = (method: string, expiresInSeconds: number, time?: number) =>
    presignUrl(
      { method, url: new URL(`${server.url}/${Bucket}/presigned`) },
      { credentials, region: realm.region, service: 's3', expiresInSeconds, time },
    );
  assert.equal((await fetch(presigned('PUT', 60), { method: 'PUT', body: 'hello' })).status, 200);
  assert.equal(await (await fetch(presigned('GET', 60))).text(), 'hello');
  const late = await fetch(presigned('GET', 1, Date.now() - 5000));
  assert.deepEqual([late.status, /Request has expired/.test(await late.text())], [403, true]);
  const changed = await fetch(String(presigned('GET', 60)).replace('presigned?', 'kept?'));
  assert.match(await changed.text(), /<Code>SignatureDoesNotMatch<\/Code>/);
});

test('takes URLs presigned the old way, for what they were signed and as long as they say', async () => {
  const sign = (method: string, path: string, end: number, more = '') => {
    const text = `${method}\n\n\n${end}\n${more}${path}`;
    const signature = createHmac('sha1', credentials.secretAccessKey).update(text).digest('base64');
    return `AWSAccessKeyId=${credentials.accessKeyId}&Expires=${end}&Signature=${encodeURIComponent(signature)}`;
  };
  const soon = Math.floor(Date.now() / 1000) + 60;
  const path = `/${Bucket}/old%20way`;
  const put = await fetch(`${server.url}${path}?${sign('PUT', path, soon)}`, {
    method: 'PUT',
    body: Buffer.from('old'),
  });
  assert.equal(put.status, 200, await put.text());
  const get = sign('GET', path, soon);
  assert.equal(await (await fetch(`${server.url}${path}?${get}`)).text(), 'old');
  const typed = sign('GET', `${path}?response-content-type=text/x-old`, soon);
  const answer = await fetch(`${server.url}${path}?${typed}&response-content-type=text%2Fx-old`);
  assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'text/x-old']);

  const refused = async (url: string, code: string, init: RequestInit = {}) => {
    const { status, text } = await fetch(server.url + url, init).then(async (response) => ({
      status: response.status,
      text: await response.text(),
    }));
    assert.ok(status === 403 || status === 400, `${status}`);
    assert.match(text, new RegExp(`<Code>${code}</Code>`), url);
  };
  await refused(`/${Bucket}/other?${get}`, 'SignatureDoesNotMatch');
  await refused(`${path}?${get}`, 'SignatureDoesNotMatch', { method: 'PUT', body: Buffer.from('x') });
  await refused(`${path}?${get}`, 'SignatureDoesNotMatch', { headers: { 'x-amz-copy-source': '/a/b' } });
  await refused(`${path}?${get}&response-content-type=text%2Fhtml`, 'SignatureDoesNotMatch');
  await refused(`${path}?${get}&uploads`, 'SignatureDoesNotMatch');
  await refused(`${path}?${get.replace(`Expires=${soon}`, `Expires=${soon + 1}`)}`, 'SignatureDoesNotMatch');
  await refused(`${path}?${sign('GET', path, soon - 120)}`, 'AccessDenied');
  await refused(`${path}?${get.replace(credentials.accessKeyId, 'AKIANOBODY')}`, 'InvalidAccessKeyId');
  await refused(
    `${path}?AWSAccessKeyId=${credentials.accessKeyId}&Signature=x&Expires=soon`,
    'AuthorizationHeaderMalformed',
  );
  await refused(`${path}?${get}&x-amz-security-token=x`, 'InvalidToken');
  // Good for the bucket only.
  const api = '/2025-09-09/microvms';
  const elsewhere = await fetch(`${server.url}${api}?${sign('GET', api, soon)}`);
  assert.equal(elsewhere.status, 404);
});

test('names the signature it wants to those who use an older one', async () => {
  const answer = await fetch(`${server.url}/${Bucket}/presigned`, {
    headers: { authorization: 'AWS AKIATEST:abc' },
  });
  assert.equal(answer.status, 400);
  assert.match(await answer.text(), /Please use AWS4-HMAC-SHA256\./);
});

test('refuses wrong keys and secrets in the words of S3', async () => {
  for (const [change, name] of [
    [{ accessKeyId: 'AKIAOTHER' }, 'InvalidAccessKeyId'],
    [{ secretAccessKey: 'other' }, 'SignatureDoesNotMatch'],
    [{ sessionToken: 'other' }, 'InvalidToken'],
  ] as const) {
    const other = new S3Client({
      ...server.client,
      forcePathStyle: true,
      maxAttempts: 1,
      credentials: { ...credentials, ...change },
    });
    await assert.rejects(other.send(new GetObjectCommand({ Bucket, Key: 'a' })), { name });
    other.destroy();
  }
});

test('a NUL is no part of a name, and listings stay whole', async () => {
  await client.send(new PutObjectCommand({ Bucket, Key: 'nul/a', Body: 'a' }));
  for (const [method, path] of [
    ['PUT', `/${Bucket}/nul/b%00c`],
    ['GET', `/${Bucket}/nul/b%00c`],
    ['POST', `/${Bucket}/nul/b%00c?uploads`],
    ['GET', `/${Bucket}?list-type=2&prefix=nul%00`],
  ] as const) {
    const { status, text } = await raw(server, method, path, '', 's3');
    assert.equal(status, 400, path);
    assert.match(text, /<Code>InvalidURI<\/Code>/);
  }
  const copy = new CopyObjectCommand({ Bucket, Key: 'nul/d', CopySource: `${Bucket}/nul/b%00c` });
  await assert.rejects(client.send(copy), { name: 'InvalidURI' });
  const { text } = await raw(server, 'GET', `/${Bucket}?list-type=2&prefix=nul`, '', 's3');
  assert.deepEqual(text.match(/(?<=<Key>)[^<]*/g), ['nul/a']);
});
