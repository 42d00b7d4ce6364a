import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, test } from 'node:test';
import { openDatabase, type Store } from '../store/database.ts';
import { createBucketArtifactSource } from './bucket-artifact-source.ts';
import { openDiskObjectStore } from './disk-object-store.ts';
import type { IncomingBody, ObjectStore } from './object-store.ts';

const bucket = 'artifacts';
const plain = { contentType: null, headers: {} };

let directory: string;
let store: Store;
let now: number;
let objects: ObjectStore;

beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-s3-'));
  store = await openDatabase(':memory:');
  now = 1_000_000;
  objects = await open();
});

afterEach(async () => {
  await store.destroy();
  await rm(directory, { recursive: true, force: true });
});

function open(maximumObjectBytes = 1000): Promise<ObjectStore> {
  return openDiskObjectStore({ store, directory, defaultBucket: bucket, now: () => now, maximumObjectBytes });
}

function body(text: string, verify: IncomingBody['verify'] = () => undefined): IncomingBody {
  return {
    stream: (async function* () {
      yield Buffer.from(text);
    })(),
    algorithms: [],
    withSha256: false,
    verify,
  };
}

async function content(key: string): Promise<string> {
  const opened = await objects.open(bucket, key);
  return (await buffer(opened.read(undefined))).toString();
}

async function files(): Promise<string[]> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  return found.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

test('keeps one file per object, and none of what was refused, replaced or deleted', async () => {
  await objects.put({ bucket, key: 'a', ...plain }, body('one'));
  await objects.put({ bucket, key: 'a', ...plain }, body('two'));
  assert.equal(await content('a'), 'two');
  const refuse = () => {
    throw new Error('refused');
  };
  await assert.rejects(objects.put({ bucket, key: 'a', ...plain }, body('three', refuse)), /refused/);
  await assert.rejects(objects.put({ bucket, key: 'a', ...plain }, body('x'.repeat(1001))), {
    code: 'EntityTooLarge',
  });
  await assert.rejects(objects.put({ bucket: 'none', key: 'a', ...plain }, body('four')), {
    code: 'NoSuchBucket',
  });
  assert.equal(await content('a'), 'two');
  assert.equal((await files()).length, 1);
  await objects.delete(bucket, 'a');
  await objects.delete(bucket, 'a');
  assert.deepEqual(await files(), []);
  await assert.rejects(objects.head(bucket, 'a'), { code: 'NoSuchKey' });
});

test('lets readers finish what was replaced under them', async () => {
  await objects.put({ bucket, key: 'a', ...plain }, body('one'));
  const opened = await objects.open(bucket, 'a');
  await objects.put({ bucket, key: 'a', ...plain }, body('two'));
  assert.equal((await buffer(opened.read(undefined))).toString(), 'one');
});

test('writers at the same time leave one object and its one file', async () => {
  await Promise.all(
    Array.from({ length: 20 }, (_, index) => objects.put({ bucket, key: 'a', ...plain }, body(`v${index}`))),
  );
  assert.match(await content('a'), /^v\d+$/);
  assert.equal((await files()).length, 1);
});

test('of writers who want to be the first one is', async () => {
  const results = await Promise.allSettled(
    Array.from({ length: 10 }, (_, index) =>
      objects.put({ bucket, key: 'a', ...plain }, body(`v${index}`), { ifNoneMatch: '*' }),
    ),
  );
  assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1);
  assert.equal((await files()).length, 1);
});

test('a copy outlives its source', async () => {
  await objects.put({ bucket, key: 'a', ...plain }, body('one'));
  await objects.copy({ bucket, key: 'a' }, { bucket, key: 'b' }, undefined);
  await objects.delete(bucket, 'a');
  assert.equal(await content('b'), 'one');
});

test('a restart finds every object and removes what belongs to none', async () => {
  await objects.put({ bucket, key: 'a', ...plain }, body('one'));
  const upload = await objects.createUpload({ bucket, key: 'b', checksum: undefined, ...plain });
  const part = await objects.putPart(upload, 1, body('part'));
  for (const place of ['objects', 'tmp', 'uploads']) {
    await writeFile(path.join(directory, place, randomUUID()), 'left over');
  }
  objects = await open();
  await objects.recover();
  assert.equal((await files()).length, 3);
  assert.equal(await content('a'), 'one');
  await objects.completeUpload(upload, [{ partNumber: 1, etag: part.etag }]);
  assert.equal(await content('b'), 'part');
  assert.equal((await files()).length, 2);
});

test('uploads nobody came back to are forgotten after a week', async () => {
  const upload = await objects.createUpload({ bucket, key: 'b', checksum: undefined, ...plain });
  await objects.putPart(upload, 1, body('part'));
  now += 7 * 24 * 3600 * 1000 + 1;
  await objects.recover();
  await assert.rejects(objects.listParts(upload), { code: 'NoSuchUpload' });
  assert.deepEqual(await files(), []);
});

test('an upload completes once however many ask', async () => {
  const upload = await objects.createUpload({ bucket, key: 'b', checksum: undefined, ...plain });
  const part = await objects.putPart(upload, 1, body('part'));
  const wanted = [{ partNumber: 1, etag: part.etag }];
  const results = await Promise.allSettled(
    Array.from({ length: 5 }, () => objects.completeUpload(upload, wanted)),
  );
  assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1);
  assert.equal(await content('b'), 'part');
  assert.equal((await files()).length, 1);
});

test('is a source of artifacts', async () => {
  const source = createBucketArtifactSource(objects);
  const file = path.join(directory, 'artifact');
  const { signal } = new AbortController();
  await objects.put({ bucket, key: 'path/demo.zip', ...plain }, body('zip'));
  await source.download(`s3://${bucket}/path/demo.zip`, file, signal);
  assert.equal(await readFile(file, 'utf8'), 'zip');
  for (const [uri, code] of [
    [`s3://${bucket}/none.zip`, 'S3_NO_SUCH_KEY'],
    ['s3://none/demo.zip', 'S3_NO_SUCH_BUCKET'],
    ['https://example.com/demo.zip', 'S3_INVALID_OBJECT'],
  ] as const) {
    await assert.rejects(source.download(uri, path.join(directory, 'other'), signal), { code });
  }
});
