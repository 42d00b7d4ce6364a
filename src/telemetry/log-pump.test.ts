import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../model/clock.ts';
import { LogPump } from './log-pump.ts';
import type { LogEvent } from './log-store.ts';

const mebibyte = 1024 * 1024;

/** A clock that jumps to whatever is waited for. */
class JumpingClock implements Clock {
  time = 7;
  waits = 0;

  now(): number {
    return this.time;
  }

  schedule(delayMs: number, callback: () => void): () => void {
    this.waits += 1;
    const immediate = setImmediate(() => {
      this.time += delayMs;
      callback();
    });
    return () => clearImmediate(immediate);
  }
}

interface Fixture {
  readonly pump: LogPump;
  readonly clock: JumpingClock;
  readonly dropped: () => number;
}

function pumpInto(append: (events: readonly LogEvent[]) => Promise<void>): Fixture {
  const clock = new JumpingClock();
  let dropped = 0;
  const pump = new LogPump({
    logs: { append: (_group, _stream, events) => append(events) },
    destination: { group: 'g', stream: 's' },
    clock,
    onError: (error) => assert.fail(String(error)),
    onDropped: (bytes) => {
      dropped += bytes;
    },
  });
  return { pump, clock, dropped: () => dropped };
}

function droppedIn(message: string): number {
  return Number(/^\[(\d+) bytes of output dropped\]$/.exec(message)?.[1] ?? 0);
}

function messages(events: readonly LogEvent[]): string[] {
  return events.map(({ message }) => message);
}

test('output is cut into lines whatever its chunks, each source by itself', async () => {
  const seen: LogEvent[] = [];
  const { pump } = pumpInto(async (events) => void seen.push(...events));
  for (const byte of Buffer.from('grün\r\nzwei\n')) pump.write('stdout', Uint8Array.of(byte));
  pump.write('stderr', Buffer.from('half '));
  pump.write('stdout', Buffer.from('rest'));
  pump.write('stderr', Buffer.from('line\n'));
  await pump.end();
  assert.deepEqual(messages(seen), ['grün', 'zwei', 'half line', 'rest']);
  assert.deepEqual(
    seen.map(({ timestamp }) => timestamp),
    [7, 7, 7, 7],
  );
});

test('a guest that never ends its line cannot hold more than a line in memory', async () => {
  const seen: LogEvent[] = [];
  const { pump } = pumpInto(async (events) => void seen.push(...events));
  for (let i = 0; i < 20; i += 1) pump.write('stdout', Buffer.alloc(10_000, 'x'));
  await pump.end();
  assert.equal(messages(seen).join('').length, 200_000);
  assert.ok(seen.every((event) => event.message.length <= 64 * 1024));
});

test('a line that is cut for its length loses no character', async () => {
  const seen: LogEvent[] = [];
  const { pump } = pumpInto(async (events) => void seen.push(...events));
  const text = `x${'ü€😀'.repeat(40_000)}`;
  pump.write('stdout', Buffer.from(text));
  await pump.end();
  assert.ok(seen.length > 5);
  assert.equal(messages(seen).join(''), text);
});

test('what a slow store does not take is dropped, oldest first, and counted in its place', async () => {
  const seen: LogEvent[] = [];
  const gate = Promise.withResolvers<void>();
  const { pump, dropped } = pumpInto(async (events) => {
    await gate.promise;
    seen.push(...events);
  });
  const lines = Array.from({ length: 300_000 }, (_, index) => `${index}`.padStart(9, '0'));
  pump.write('stdout', Buffer.from('first\nbegun'));
  for (let at = 0; at < lines.length; at += 1000) {
    pump.write('stdout', Buffer.from(`${lines.slice(at, at + 1000).join('\n')}\n`));
  }
  gate.resolve();
  await pump.end();
  const stored = messages(seen);
  const noted = stored.map(droppedIn).filter((bytes) => bytes > 0);
  assert.equal(noted.length, 1);
  assert.equal(noted[0], dropped());
  assert.ok(dropped() > 1.5 * mebibyte && dropped() < 2.6 * mebibyte, String(dropped()));
  assert.deepEqual(stored.slice(0, 2), ['first', 'begun']);
  assert.deepEqual(stored.slice(-1000), lines.slice(-1000));
});

for (const [name, line] of [
  ['empty lines', '\n'],
  ['long lines', `${'x'.repeat(5000)}\n`],
  ['no lines', 'x'.repeat(4096)],
] as const) {
  test(`a flood of ${name} is stored at a rate, in short turns, and what is too much is counted`, async () => {
    let events = 0;
    let bytes = 0;
    let noted = 0;
    let notes = 0;
    let longest = 0;
    const { pump, clock, dropped } = pumpInto(async (batch) => {
      const size = messages(batch).reduce((sum, message) => sum + Buffer.byteLength(message), 0);
      longest = Math.max(longest, size + batch.length * 100);
      events += batch.length;
      bytes += size;
      for (const message of messages(batch)) {
        noted += droppedIn(message);
        notes += droppedIn(message) > 0 ? 1 : 0;
      }
      await new Promise((resolve) => setImmediate(resolve));
    });
    const chunk = Buffer.from(line.repeat(Math.ceil(16_384 / line.length)));
    let sent = 0;
    while (clock.time < 30_000) {
      pump.write('stdout', chunk);
      sent += chunk.length;
      if (sent % (8 * chunk.length) === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await pump.end();
    const seconds = clock.time / 1000;
    // The last part may be of empty lines only, which cost a hundred times their bytes.
    const most = (16 + seconds + 14) * mebibyte;
    assert.ok(bytes + events * 100 <= most, `${bytes} bytes in ${events} lines`);
    assert.ok(bytes + events * 100 > 16 * mebibyte);
    assert.ok(longest < 192 * 1024, `${longest} in one turn`);
    assert.equal(noted, dropped());
    assert.ok(dropped() > sent / 2);
    assert.ok(notes <= 3 * seconds + events / 400, `${notes} notes`);
  });
}

test('the end does not wait for the rate, and has the last words', async () => {
  const seen: LogEvent[] = [];
  const { pump, clock } = pumpInto(async (events) => {
    seen.splice(0, seen.length - 10);
    seen.push(...events);
  });
  while (clock.waits === 0) {
    pump.write('stdout', Buffer.alloc(65_536, `${'x'.repeat(1023)}\n`));
    await new Promise((resolve) => process.nextTick(resolve));
  }
  for (let count = 0; count < 8; count += 1)
    pump.write('stdout', Buffer.alloc(100_000, `${'y'.repeat(99)}\n`));
  pump.write('stderr', Buffer.from('the last words'));
  const { time } = clock;
  await pump.end();
  assert.equal(clock.time, time);
  assert.equal(seen.at(-1)?.message, 'the last words');
});

test('output that never came has its line, too', async () => {
  const seen: LogEvent[] = [];
  const { pump, dropped } = pumpInto(async (events) => void seen.push(...events));
  pump.lose(12);
  pump.write('stdout', Buffer.from('here\n'));
  await pump.end();
  assert.deepEqual(messages(seen), ['[12 bytes of output dropped]', 'here']);
  assert.equal(dropped(), 12);
});
