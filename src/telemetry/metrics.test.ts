import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Metrics } from './metrics.ts';
import { parseMetrics } from './metrics-for-test.ts';
import { declareStorageMetrics } from './storage-metrics.ts';

test('counts, times and reads, under one prefix', async () => {
  const metrics = new Metrics();
  const requests = metrics.count('requests_total', 'Requests.', ['status']);
  requests.add(2, '200');
  requests.add(1, '500');
  const durations = metrics.duration('work_seconds', 'Work.', ['outcome']);
  durations.observe(0.3, 'success');
  durations.observe(2, 'success');
  let level = 7;
  metrics.reading('level', 'Level.', () => level);
  metrics.total('drops_total', 'Drops.', async () => [{ value: 41, labels: ['in'] }], ['direction']);
  metrics.reading('broken', 'Broken.', () => {
    throw new Error('cannot be read');
  });
  const before = parseMetrics(await metrics.text());
  assert.equal(before.get('dormouse_requests_total{status="200"}'), 2);
  assert.equal(before.get('dormouse_requests_total{status="500"}'), 1);
  assert.equal(before.get('dormouse_work_seconds_count{outcome="success"}'), 2);
  assert.equal(before.get('dormouse_work_seconds_sum{outcome="success"}'), 2.3);
  assert.equal(before.get('dormouse_work_seconds_bucket{le="0.5",outcome="success"}'), 1);
  assert.equal(before.get('dormouse_level'), 7);
  assert.equal(before.get('dormouse_drops_total{direction="in"}'), 41);
  level = 3;
  const after = parseMetrics(await metrics.text());
  assert.equal(after.get('dormouse_level'), 3);
  assert.equal(after.get('dormouse_drops_total{direction="in"}'), 41, 'a total is read, not added up');
});

test('takes no label with as many values as there are microVMs', () => {
  const metrics = new Metrics();
  assert.throws(() => metrics.count('x_total', 'X.', ['microvm_id']), /must not be told apart by microvm_id/);
  metrics.count('y_total', 'Y.');
  assert.throws(() => metrics.count('y_total', 'Y.'), /already been registered/);
});

test('tells what the data directory takes, looking no more than once a minute', async (context) => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-storage-'));
  context.after(() => rm(directory, { recursive: true }));
  await mkdir(path.join(directory, 'logs'));
  const metrics = new Metrics();
  let now = 100_000;
  declareStorageMetrics(metrics, directory, ['images', 'logs'], () => now);
  const read = async () => parseMetrics(await metrics.text());
  const first = await read();
  assert.equal(first.get('dormouse_data_directory_bytes{part="images"}'), 0);
  assert.ok((first.get('dormouse_disk_free_bytes') ?? 0) > 0);
  assert.ok((first.get('dormouse_disk_size_bytes') ?? 0) > 0);
  await writeFile(path.join(directory, 'logs', 'one'), Buffer.alloc(100_000, 1));
  assert.equal((await read()).get('dormouse_data_directory_bytes{part="logs"}'), 0);
  now += 61_000;
  assert.ok(((await read()).get('dormouse_data_directory_bytes{part="logs"}') ?? 0) >= 100_000);
});
