import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogPump } from './log-pump.ts';
import type { LogEvent } from './log-store.ts';

function pumpInto(append: (events: readonly LogEvent[]) => Promise<void>): LogPump {
  const logs = { append: (_group: string, _stream: string, events: readonly LogEvent[]) => append(events) };
  return new LogPump(
    logs,
    { group: 'g', stream: 's' },
    () => 7,
    (error) => assert.fail(String(error)),
  );
}

test('output is cut into lines whatever its chunks, each source by itself', async () => {
  const seen: LogEvent[] = [];
  const pump = pumpInto(async (events) => void seen.push(...events));
  for (const byte of Buffer.from('grün\r\nzwei\n')) pump.write('stdout', Uint8Array.of(byte));
  pump.write('stderr', Buffer.from('half '));
  pump.write('stdout', Buffer.from('rest'));
  pump.write('stderr', Buffer.from('line\n'));
  await pump.end();
  assert.deepEqual(
    seen.map((event) => event.message),
    ['grün', 'zwei', 'half line', 'rest'],
  );
});

test('a guest that never ends its line cannot hold more than a line in memory', async () => {
  const seen: LogEvent[] = [];
  const pump = pumpInto(async (events) => void seen.push(...events));
  for (let i = 0; i < 20; i += 1) pump.write('stdout', Buffer.alloc(10_000, 'x'));
  await pump.end();
  assert.equal(
    seen.reduce((sum, event) => sum + event.message.length, 0),
    200_000,
  );
  assert.ok(seen.every((event) => event.message.length <= 64 * 1024));
});

test('lines beyond what a slow store can take are dropped, oldest first, and counted', async () => {
  const seen: LogEvent[] = [];
  const gate = Promise.withResolvers<void>();
  const pump = pumpInto(async (events) => {
    await gate.promise;
    seen.push(...events);
  });
  pump.write('stdout', Buffer.from('first\n'));
  pump.write('stdout', Buffer.from(Array.from({ length: 10_005 }, (_, i) => `${i}\n`).join('')));
  gate.resolve();
  await pump.end();
  assert.deepEqual(
    seen.slice(0, 3).map((event) => event.message),
    ['first', '[5 lines dropped]', '5'],
  );
  assert.equal(seen.at(-1)?.message, '10004');
});
