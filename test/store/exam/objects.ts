import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { openDiskObjectStore } from '../../../src/s3/disk-object-store.ts';
import type { IncomingBody, ObjectStore } from '../../../src/s3/object-store.ts';
import type { OpenStore } from '../exam.test.ts';

const bucket = 'artifacts';
const plain = { contentType: null, headers: {} };

function body(text: string): IncomingBody {
  const stream = (async function* () {
    yield Buffer.from(text);
  })();
  return { stream, algorithms: [], withSha256: false, verify: () => undefined };
}

export function examineObjects(open: OpenStore): void {
  const openObjects = async (t: Parameters<OpenStore>[0]): Promise<ObjectStore> => {
    const directory = await mkdtemp(path.join(tmpdir(), 'dormouse-exam-'));
    t.after(() => rm(directory, { recursive: true, force: true }));
    return await openDiskObjectStore({
      store: await open(t),
      directory,
      defaultBucket: bucket,
      now: () => 1,
    });
  };

  test('keys are listed in the order of their bytes, also from a position on', async (t) => {
    const objects = await openObjects(t);
    const keys = ['a', 'B', 'ä', 'a-b', 'a/b', 'a.b', 'Z', '_', '😀', '\u{ffee}'];
    for (const key of keys) await objects.put({ bucket, key, ...plain }, body(key));
    const sorted = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const page = await objects.list(bucket, { prefix: '', delimiter: undefined, after, limit: 3 });
      seen.push(...page.objects.map(({ key }) => key));
      after = page.next;
    } while (after !== undefined);
    assert.deepEqual(seen, sorted);
  });

  test('of writers at the same time who want to be the first, one is', async (t) => {
    const objects = await openObjects(t);
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, (_, index) =>
        objects.put({ bucket, key: 'a', ...plain }, body(`v${index}`), { ifNoneMatch: '*' }),
      ),
    );
    const stored = results.flatMap((result, index) => (result.status === 'fulfilled' ? [`v${index}`] : []));
    const opened = await objects.open(bucket, 'a');
    assert.deepEqual(stored, [(await buffer(opened.read(undefined))).toString()]);
  });

  test('a bucket with something in it is not deleted, an empty one is', async (t) => {
    const objects = await openObjects(t);
    await objects.createBucket('other');
    await objects.put({ bucket: 'other', key: 'a', ...plain }, body('one'));
    await assert.rejects(objects.deleteBucket('other'), { code: 'BucketNotEmpty' });
    await objects.delete('other', 'a');
    await objects.deleteBucket('other');
    await assert.rejects(objects.put({ bucket: 'other', key: 'a', ...plain }, body('one')), {
      code: 'NoSuchBucket',
    });
  });

  test('what is set on a bucket is kept, replaced, taken away, and goes with the bucket', async (t) => {
    const objects = await openObjects(t);
    await objects.createBucket('other');
    for (const document of ['<a/>', '<b/>']) await objects.putBucketSetting('other', 'tagging', document);
    await objects.putBucketSetting('other', 'policy', '{}');
    assert.equal(await objects.bucketSetting('other', 'tagging'), '<b/>');
    await objects.deleteBucketSetting('other', 'tagging');
    assert.equal(await objects.bucketSetting('other', 'tagging'), undefined);
    await objects.deleteBucket('other');
    const missing = { code: 'NoSuchBucket' };
    await assert.rejects(objects.bucketSetting('other', 'policy'), missing);
    await assert.rejects(objects.putBucketSetting('other', 'policy', '{}'), missing);
    await objects.createBucket('other');
    assert.equal(await objects.bucketSetting('other', 'policy'), undefined);
  });

  test('tags of an object change without its content', async (t) => {
    const objects = await openObjects(t);
    const headers = { 'x-amz-meta-a': '1' };
    await objects.put(
      { bucket, key: 'a', contentType: 'text/plain', headers, tags: { a: 'b' } },
      body('one'),
    );
    await objects.setTags(bucket, 'a', { c: 'd' });
    const { tags, headers: kept, size } = await objects.head(bucket, 'a');
    assert.deepEqual([tags, kept, size], [{ c: 'd' }, headers, 3]);
    await assert.rejects(objects.setTags(bucket, 'none', {}), { code: 'NoSuchKey' });
  });
}
