import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import type { GuestProtocolError } from './guest-agent.ts';
import { IncomingFrames } from './incoming-frames.ts';
import { encodeFrame, frame, headerBytes, maximumPayload } from './wire.ts';

const chunkBytes = 64 * 1024;

/** The host's end of a channel whose guest says `words` again and again, and takes what is written when told to. */
class Channel extends Duplex {
  readonly #words: Buffer;
  #left: number;
  #take: (() => void) | undefined;
  takes = true;

  constructor(times: number, ...frames: readonly Buffer[]) {
    super();
    const words = Buffer.concat(frames);
    this.#words = Buffer.concat(Array.from({ length: Math.ceil(chunkBytes / words.length) }, () => words));
    this.#left = times;
    this.pause();
  }

  override _read(): void {
    this.#left -= 1;
    this.push(this.#left >= 0 ? this.#words : null);
  }

  override _write(_chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.takes) done();
    else this.#take = done;
  }

  takeAll(): void {
    this.takes = true;
    this.#take?.();
  }
}

interface Reading {
  readonly ended: Promise<GuestProtocolError>;
  /** Bytes of frames, headers included, and how many there were. */
  readonly seen: { bytes: number; frames: number };
  /** Most between two turns of anybody else. */
  readonly mostInTurn: { bytes: number; frames: number };
  readonly incoming: IncomingFrames;
}

function read(channel: Duplex, onFrame: () => void = () => undefined): Reading {
  const { promise, resolve } = Promise.withResolvers<GuestProtocolError>();
  const seen = { bytes: 0, frames: 0 };
  const mostInTurn = { bytes: 0, frames: 0 };
  let inTurn = { bytes: 0, frames: 0 };
  let watching = false;
  const incoming = new IncomingFrames(channel, {
    onFrame(_stream, _type, payload) {
      for (const tally of [seen, inTurn]) {
        tally.bytes += headerBytes + payload.length;
        tally.frames += 1;
      }
      mostInTurn.bytes = Math.max(mostInTurn.bytes, inTurn.bytes);
      mostInTurn.frames = Math.max(mostInTurn.frames, inTurn.frames);
      if (!watching) {
        watching = true;
        setImmediate(() => {
          watching = false;
          inTurn = { bytes: 0, frames: 0 };
        });
      }
      onFrame();
    },
    onEnd: resolve,
  });
  incoming.begin(Buffer.alloc(0));
  return { ended: promise, seen, mostInTurn, incoming };
}

/** What one turn may come to: the last frame, or chunk, may begin just before the bound. */
const mostTurn = 128 * 1024 + headerBytes + maximumPayload;

for (const [name, times, words] of [
  ['output', 400, encodeFrame(0, frame.log, Buffer.alloc(16_384, '\n'))],
  ['long frames of a stream', 800, encodeFrame(1, frame.data, Buffer.alloc(maximumPayload))],
] as const) {
  test(`a guest that floods its host with ${name} has short turns`, async () => {
    const channel = new Channel(times, words);
    const { ended, seen, mostInTurn } = read(channel);
    await ended;
    assert.ok(seen.bytes >= times * chunkBytes);
    assert.ok(mostInTurn.bytes <= mostTurn, `${mostInTurn.bytes} bytes in a turn`);
  });
}

test('output is read at a rate, and what else comes behind it waits for itself only', async () => {
  const begun = performance.now();
  const { ended, seen } = read(new Channel(320, encodeFrame(0, frame.log, Buffer.alloc(16_384))));
  await ended;
  const earned = 8 * 1024 * 1024 + ((performance.now() - begun) / 1000) * 32 * 1024 * 1024;
  assert.ok(seen.bytes >= 20 * 1024 * 1024);
  // What is owed at the end of a turn is made up for in the next.
  assert.ok(seen.bytes < earned + 2 * mostTurn, `${seen.bytes} bytes, ${earned} earned`);
});

test('openings are dear, and frames without a body are not free', async () => {
  const opening = encodeFrame(2, frame.open, Buffer.alloc(12));
  const openings = read(new Channel(1, opening));
  await openings.ended;
  // A little is earned meanwhile.
  assert.ok(
    openings.mostInTurn.frames <= 1.1 * (8_000 / 50),
    `${openings.mostInTurn.frames} openings in a turn`,
  );
  const frames = read(new Channel(8, encodeFrame(9, frame.data)));
  await frames.ended;
  assert.ok(frames.mostInTurn.frames < 1.5 * 8_000, `${frames.mostInTurn.frames} frames in a turn`);
});

test('nothing is read of a guest while it does not take its answers', async () => {
  const channel = new Channel(100, encodeFrame(9, frame.data, Buffer.alloc(100)));
  channel.takes = false;
  const reading = read(channel, () => channel.write(Buffer.alloc(64)));
  while (channel.writableLength <= 128 * 1024) await new Promise((resolve) => setImmediate(resolve));
  const unsent = channel.writableLength;
  assert.ok(unsent > 128 * 1024 && unsent < 129 * 1024, `${unsent} bytes are unsent`);
  const { frames } = reading.seen;
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(reading.seen.frames, frames);
  channel.takeAll();
  await reading.ended;
  assert.ok(reading.seen.frames > 50_000);
});

test('a channel that closes while its answers wait ends the reading', async () => {
  const channel = new Channel(100, encodeFrame(9, frame.data, Buffer.alloc(100)));
  channel.takes = false;
  const reading = read(channel, () => channel.write(Buffer.alloc(64)));
  while (channel.writableLength <= 128 * 1024) await new Promise((resolve) => setImmediate(resolve));
  channel.destroy();
  await reading.ended;
});

test('what came before the channel closed is handled first', async () => {
  const channel = new Channel(1, encodeFrame(9, frame.data, Buffer.alloc(3)));
  const { ended, seen } = read(channel);
  const reason = await ended;
  assert.match(reason.message, /closed/);
  assert.equal(seen.frames, Math.ceil(chunkBytes / 11));
});

test('nothing is handled once the reading has stopped', async () => {
  const channel = new Channel(20, encodeFrame(9, frame.data, Buffer.alloc(3)));
  const reading: Reading = read(channel, () => {
    if (reading.seen.frames === 10) reading.incoming.stop();
  });
  await once(channel, 'end').catch(() => undefined);
  assert.equal(reading.seen.frames, 10);
});
