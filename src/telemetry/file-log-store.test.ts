import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { FileLogStore } from './file-log-store.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-logs-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

function events(...messages: readonly string[]) {
  return messages.map((message, index) => ({ timestamp: 1000 + index, message }));
}

async function onlyFile(): Promise<string> {
  const [name] = (await readdir(directory, { recursive: true })).filter((entry) => entry.endsWith('.ndjson'));
  assert.ok(name !== undefined);
  return path.join(directory, name);
}

test('events come back in order with growing sequences, from a new store too', async () => {
  const first = new FileLogStore(directory);
  await Promise.all([first.append('g', 's', events('a', 'b')), first.append('g', 's', events('ü\n"c"'))]);
  const second = new FileLogStore(directory);
  await second.append('g', 's', events('d'));
  const read = await second.read('g', 's', {});
  assert.deepEqual(
    read.map(({ sequence, message }) => [sequence, message]),
    [
      [1, 'a'],
      [2, 'b'],
      [3, 'ü\n"c"'],
      [4, 'd'],
    ],
  );
  assert.deepEqual(
    (await second.read('g', 's', { after: 1, limit: 2 })).map(({ sequence }) => sequence),
    [2, 3],
  );
});

test('a stream that does not exist is empty, and reading it makes no file', async () => {
  const store = new FileLogStore(directory);
  assert.deepEqual(await store.read('g', 'none', {}), []);
  assert.deepEqual(await store.streams('g'), []);
  assert.deepEqual(await readdir(directory), []);
});

test('streams of a group are listed by name, whatever the name is made of', async () => {
  const store = new FileLogStore(directory);
  const names = ['../../etc/passwd', '2026/01/02[1.0]microvm-x', 'x'.repeat(512)];
  for (const name of names) await store.append('/aws/lambda-microvms/a', name, events('m'));
  await store.append('/aws/lambda-microvms/b', 'other', events('m'));
  assert.deepEqual(await new FileLogStore(directory).streams('/aws/lambda-microvms/a'), names.toSorted());
});

test('half a line left by a crash is cut off', async () => {
  await new FileLogStore(directory).append('g', 's', events('whole'));
  await appendFile(await onlyFile(), '[2,1001,"ha');
  const store = new FileLogStore(directory);
  await store.append('g', 's', events('next'));
  assert.deepEqual(
    (await store.read('g', 's', {})).map(({ sequence, message }) => [sequence, message]),
    [
      [1, 'whole'],
      [2, 'next'],
    ],
  );
});

test('a stream keeps two segments and its newest events', async () => {
  const store = new FileLogStore(directory, { segmentBytes: 1000 });
  for (let index = 1; index <= 50; index += 1) {
    await store.append('g', 's', [{ timestamp: index, message: 'x'.repeat(100) }]);
  }
  const file = await onlyFile();
  assert.ok((await stat(file)).size + (await stat(`${file}.previous`)).size < 3000);
  const read = await new FileLogStore(directory, { segmentBytes: 1000 }).read('g', 's', {});
  assert.equal(read.at(-1)?.sequence, 50);
  assert.ok(read.length >= 8 && read.length < 25, `${read.length} events kept`);
});

test('sequences go on when a crash came between two segments', async () => {
  await new FileLogStore(directory).append('g', 's', events('a', 'b'));
  const file = await onlyFile();
  await rename(file, `${file}.previous`);
  const store = new FileLogStore(directory);
  await store.append('g', 's', events('c'));
  assert.deepEqual(
    (await store.read('g', 's', {})).map(({ sequence }) => sequence),
    [1, 2, 3],
  );
});

test('following yields what is there, then what comes, and ends with its signal', async () => {
  const store = new FileLogStore(directory);
  await store.append('g', 's', events('old'));
  const controller = new AbortController();
  const seen: string[] = [];
  const { promise: sawOld, resolve } = Promise.withResolvers<void>();
  const following = (async () => {
    for await (const event of store.follow('g', 's', {}, controller.signal)) {
      seen.push(event.message);
      if (event.message === 'old') resolve();
      if (event.message === 'last') controller.abort();
    }
  })();
  await sawOld;
  await store.append('g', 's', events('new 1', 'new 2'));
  await store.append('g', 's', events('last'));
  await following;
  assert.deepEqual(seen, ['old', 'new 1', 'new 2', 'last']);
});

test('a follower that does not read costs little, also of empty lines', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const store = new FileLogStore(directory);
  const controller = new AbortController();
  const iterator = store.follow('g', 's', {}, controller.signal)[Symbol.asyncIterator]();
  const first = iterator.next();
  await store.append('g', 's', events('first'));
  assert.equal((await first).value?.message, 'first');
  collect();
  const before = process.memoryUsage().heapUsed;
  const empty = Array.from({ length: 1000 }, () => '');
  for (let round = 0; round < 200; round += 1) await store.append('g', 's', events(...empty));
  collect();
  const held = process.memoryUsage().heapUsed - before;
  assert.ok(held < 4 * 1024 * 1024, `${held} bytes`);
  assert.equal((await iterator.next()).value?.sequence, 2);
  controller.abort();
  await iterator.return?.(undefined);
});

test('a follower that is slower than the writer misses nothing', async () => {
  const store = new FileLogStore(directory);
  const controller = new AbortController();
  const iterator = store.follow('g', 's', {}, controller.signal)[Symbol.asyncIterator]();
  const first = iterator.next();
  const message = 'y'.repeat(50_000);
  for (let index = 0; index < 20; index += 1) await store.append('g', 's', events(message));
  assert.equal((await first).value?.sequence, 1);
  for (let sequence = 2; sequence <= 20; sequence += 1) {
    assert.equal((await iterator.next()).value?.sequence, sequence);
  }
  controller.abort();
  assert.equal((await iterator.next()).done, true);
});
