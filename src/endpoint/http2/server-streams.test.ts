import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { Outbox } from '../http1/outbox.ts';
import { ServerStreams } from './server-streams.ts';

test('only streams that have taken more than all their time are overdue, again and again until they end', () => {
  const time = { ms: 0 };
  const streams = new ServerStreams(
    new Outbox(new PassThrough()),
    { concurrentStreams: 10, streamWindowBytes: 65_535, connectionWindowBytes: 65_535, totalTimeMs: 1000 },
    () => time.ms,
    () => undefined,
    () => undefined,
  );
  const overdue: number[] = [];
  const begin = (id: number): void => {
    const stream = streams.begin(id, true, undefined);
    stream.onOverdue = () => {
      overdue.push(id);
      if (id !== 3) stream.gone();
    };
  };
  const overdueAt = (ms: number): number[] => {
    time.ms = ms;
    streams.endOverdue();
    return overdue.splice(0);
  };
  begin(1);
  begin(3);
  time.ms = 500;
  begin(5);
  assert.deepEqual(overdueAt(1000), []);
  assert.deepEqual(overdueAt(1001), [1, 3]);
  assert.deepEqual(overdueAt(1500), [3]);
  assert.deepEqual(overdueAt(1501), [3, 5]);
});
