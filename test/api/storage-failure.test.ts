/** What clients hear of a disk that takes nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  InternalServerException,
  LambdaMicrovmsClient,
  RunMicrovmCommand,
} from '@aws-sdk/client-lambda-microvms';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { createMemoryImages } from './doubles/images.ts';
import { createMemoryMicrovms } from './doubles/microvms.ts';
import { realm, startServer } from './server.ts';

test('a disk that takes nothing is named, in an error that is worth another attempt', async (context) => {
  const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  const microvms = {
    ...createMemoryMicrovms(realm, createMemoryImages(realm, Date.now), Date.now),
    run: () => Promise.reject(new Error('not stored', { cause: full })),
  };
  const server = await startServer('relaxed', { services: { microvms } });
  context.after(() => server.close());
  server.services.objects.put = () =>
    Promise.reject(Object.assign(new Error('readonly'), { code: 'ERR_SQLITE_ERROR', errcode: 8 }));

  const client = new LambdaMicrovmsClient({ ...server.client, maxAttempts: 1 });
  const run = client.send(new RunMicrovmCommand({ imageIdentifier: 'web' }));
  await assert.rejects(run, (error) => {
    assert.ok(error instanceof InternalServerException);
    assert.match(error.message, /^The server cannot store anything: the disk is full\./);
    return true;
  });
  const s3 = new S3Client({ ...server.client, forcePathStyle: true, maxAttempts: 1 });
  const [bucket] = await server.services.objects.listBuckets();
  const put = s3.send(new PutObjectCommand({ Bucket: bucket?.name, Key: 'key', Body: 'content' }));
  await assert.rejects(put, { name: 'InternalError', message: /the file system is read-only/ });
  assert.equal(server.faults.length, 2);
  client.destroy();
  s3.destroy();
});
