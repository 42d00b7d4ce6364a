import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { FileLogStore } from './file-log-store.ts';

const forever = { writtenSince: 0, totalBytes: Number.POSITIVE_INFINITY };
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-retention-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

async function write(store: FileLogStore, stream: string, writtenAt: number): Promise<void> {
  const before = new Set(await readdir(directory, { recursive: true }));
  await store.append('g', stream, [{ timestamp: writtenAt, message: 'x'.repeat(1000) }]);
  for (const name of await readdir(directory, { recursive: true })) {
    if (!before.has(name)) await utimes(path.join(directory, name), writtenAt / 1000, writtenAt / 1000);
  }
}

test('streams are removed when nothing was written for long, and can be written to again', async () => {
  const store = new FileLogStore(directory);
  await write(store, 'old', 1_000_000);
  await write(store, 'new', 2_000_000);
  await store.sweep(forever);
  assert.deepEqual(await store.streams('g'), ['new', 'old']);
  await store.sweep({ ...forever, writtenSince: 1_500_000 });
  assert.deepEqual(await store.streams('g'), ['new']);
  assert.deepEqual(await store.read('g', 'old', {}), []);
  await store.append('g', 'old', [{ timestamp: 3, message: 'again' }]);
  const [event] = await new FileLogStore(directory).read('g', 'old', {});
  assert.deepEqual(event, { sequence: 2, timestamp: 3, message: 'again' });
});

test('streams written to longest ago go first when all take too much', async () => {
  const store = new FileLogStore(directory);
  for (const [stream, at] of [
    ['b', 2_000_000],
    ['a', 1_000_000],
    ['c', 3_000_000],
  ] as const) {
    await write(store, stream, at);
  }
  await store.sweep({ ...forever, totalBytes: 2500 });
  assert.deepEqual(await store.streams('g'), ['b', 'c']);
});

test('a stream is described by its kept events, through both segments', async () => {
  const store = new FileLogStore(directory, { segmentBytes: 1000 });
  for (let time = 1; time <= 30; time += 1) {
    await store.append('g', 's', [{ timestamp: time, message: 'ü'.repeat(3000) }]);
  }
  const kept = await store.read('g', 's', {});
  const [description] = await store.describe('g');
  assert.equal(description?.name, 's');
  assert.equal(description?.firstEventAt, kept[0]?.timestamp);
  assert.equal(description?.lastEventAt, 30);
  await store.append('g', 's', [{ timestamp: 31, message: 'last' }]);
  assert.equal((await store.describe('g'))[0]?.lastEventAt, 31);
  assert.deepEqual(await store.groups(), ['g']);
  assert.deepEqual(await store.describe('none'), []);
});

test('a scan that is under way outlives segments and sweeps', async () => {
  const store = new FileLogStore(directory, { segmentBytes: 100 });
  await store.append('g', 's', [{ timestamp: 1, message: 'first' }]);
  await store.append('g', 's', [{ timestamp: 2, message: 'x'.repeat(200) }]);
  const scan = store.scan('g', 's')[Symbol.asyncIterator]();
  assert.equal((await scan.next()).value?.message, 'first');
  await store.append('g', 's', [{ timestamp: 3, message: 'y'.repeat(200) }]);
  await store.append('g', 's', [{ timestamp: 4, message: 'z' }]);
  await store.sweep({ ...forever, totalBytes: 0 });
  assert.equal((await scan.next()).value?.timestamp, 2);
  assert.equal((await scan.next()).done, true);
});

test('a group keeps less where that was said, and never more', async () => {
  const store = new FileLogStore(directory);
  await write(store, 'old', 1_000_000);
  await write(store, 'new', 2_000_000);
  await store.sweep({ ...forever, groups: new Map([['other', 3_000_000]]) });
  assert.deepEqual(await store.streams('g'), ['new', 'old']);
  await store.sweep({ ...forever, groups: new Map([['g', 1_500_000]]) });
  assert.deepEqual(await store.streams('g'), ['new']);
  await store.sweep({ ...forever, writtenSince: 2_500_000, groups: new Map([['g', 0]]) });
  assert.deepEqual(await store.streams('g'), []);
});

test('a group is removed as a whole', async () => {
  const store = new FileLogStore(directory);
  await write(store, 'one', 1_000_000);
  await write(store, 'two', 1_000_000);
  await store.append('other', 'one', [{ timestamp: 1, message: 'kept' }]);
  await store.removeGroup('g');
  assert.deepEqual(await store.groups(), ['other']);
});
