import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameDecoder } from './frame-decoder.ts';
import { GuestProtocolError } from './guest-agent.ts';
import { encodeFrame, headerBytes, maximumPayload } from './wire.ts';

const frames = [
  encodeFrame(1, 13, Buffer.from('one')),
  encodeFrame(2, 15),
  encodeFrame(0xffff_fffe, 5, Buffer.alloc(maximumPayload, 7)),
  encodeFrame(3, 13, Buffer.from('x')),
];

function decoderInto(seen: Buffer[]): FrameDecoder {
  return new FrameDecoder((stream, type, payload) => seen.push(encodeFrame(stream, type, payload)));
}

for (const size of [1, 2, 7, 8, 9, 100, 4096, 65_536]) {
  test(`frames are found in chunks of ${size} bytes`, () => {
    const seen: Buffer[] = [];
    const decoder = decoderInto(seen);
    const bytes = Buffer.concat(frames);
    for (let at = 0; at < bytes.length; at += size) {
      decoder.push(bytes.subarray(at, at + size));
      while (decoder.step() > 0);
    }
    assert.deepEqual(seen, frames);
  });
}

test('a step is one frame, and what is not stepped through waits', () => {
  const seen: Buffer[] = [];
  const decoder = decoderInto(seen);
  decoder.push(Buffer.concat(frames.slice(0, 2)));
  assert.equal(decoder.step(), headerBytes + 3);
  assert.equal(seen.length, 1);
  decoder.push(Buffer.concat(frames.slice(2)));
  const lengths = [decoder.step(), decoder.step(), decoder.step(), decoder.step()];
  assert.deepEqual(lengths, [headerBytes, headerBytes + maximumPayload, headerBytes + 1, 0]);
  assert.deepEqual(seen, frames);
});

test('a header that cannot be one is refused, whether it comes whole or in pieces', () => {
  const tooLong = encodeFrame(1, 13);
  tooLong.writeUInt16LE(maximumPayload + 1, 4);
  const odd = encodeFrame(1, 13);
  odd.writeUInt8(1, 7);
  for (const header of [tooLong, odd]) {
    for (const first of [headerBytes, 3]) {
      const decoder = decoderInto([]);
      assert.throws(() => {
        for (const piece of [header.subarray(0, first), header.subarray(first)]) {
          decoder.push(piece);
          decoder.step();
        }
      }, GuestProtocolError);
    }
  }
});
