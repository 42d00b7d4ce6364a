import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { errorCodes } from './errors.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { flags, frameHead, frameTypes, headersFrames, largestFrame, preface } from './frames.ts';

/** Writes down what is read, DATA frames put together again. */
class Recorder implements FrameSink {
  readonly read: unknown[][] = [];
  #content = '';

  frame(type: number, flagBits: number, streamId: number, payload: Buffer): void {
    this.read.push(['frame', type, flagBits, streamId, payload.toString('latin1')]);
  }

  dataBegins(streamId: number, length: number, endStream: boolean): void {
    this.read.push(['data', streamId, length, endStream]);
    this.#content = '';
  }

  data(piece: Buffer): void {
    assert.ok(piece.length > 0);
    this.#content += piece.toString('latin1');
  }

  dataEnds(): void {
    this.read.at(-1)?.push(this.#content);
  }
}

function read(pieces: readonly Buffer[]): unknown[][] {
  const recorder = new Recorder();
  const reader = new FrameReader(recorder);
  for (const piece of [Buffer.from(preface), ...pieces]) reader.read(piece);
  return recorder.read;
}

/** Cuts bytes at the given places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [...ends, bytes.length].map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

const frame = (type: number, flagBits: number, streamId: number, payload: string): string =>
  frameHead(payload.length, type, flagBits, streamId) + payload;

const payloads = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
});
const ids = fc.integer({ min: 0, max: 2 ** 31 - 1 });
const others = fc
  .tuple(fc.integer({ min: 1, max: 255 }), fc.integer({ min: 0, max: 255 }), ids, payloads)
  .map(([type, flagBits, id, payload]) => ({
    bytes: frame(type, flagBits, id, payload),
    read: ['frame', type, flagBits, id, payload],
  }));
const data = fc
  .tuple(ids, payloads, fc.option(fc.integer({ min: 0, max: 255 }), { nil: undefined }), fc.boolean())
  .map(([id, content, padding, end]) => {
    const payload =
      padding === undefined ? content : String.fromCharCode(padding) + content + '\0'.repeat(padding);
    const bits = (end ? flags.endStream : 0) | (padding === undefined ? 0 : flags.padded);
    return {
      bytes: frame(frameTypes.data, bits, id, payload),
      read: ['data', id, payload.length, end, content],
    };
  });

test('frames are found however their bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(others, data)), fc.array(fc.nat()), (wanted, places) => {
      const bytes = Buffer.from(wanted.map(({ bytes }) => bytes).join(''), 'latin1');
      const expected = wanted.map(({ read }) => read);
      assert.deepEqual(read(cut(bytes, places)), expected);
      assert.deepEqual(read(Array.from(bytes, (byte) => Buffer.of(byte))), expected);
    }),
  );
});

test('the preface, byte by byte, and what is no preface', () => {
  const recorder = new Recorder();
  const reader = new FrameReader(recorder);
  for (const byte of Buffer.from(preface)) reader.read(Buffer.of(byte));
  reader.read(Buffer.from(frame(frameTypes.ping, 0, 0, '12345678'), 'latin1'));
  assert.deepEqual(recorder.read, [['frame', frameTypes.ping, 0, 0, '12345678']]);
  for (const begin of ['GET / HTTP/1.1\r\n', 'PRI * HTTP/2.1', 'PRX']) {
    assert.throws(() => new FrameReader(recorder).read(Buffer.from(begin)), { code: errorCodes.protocol });
  }
});

test('DATA is passed on before all of its frame is there', () => {
  const recorder = new Recorder();
  const pieces: string[] = [];
  recorder.data = (piece) => pieces.push(piece.toString('latin1'));
  const reader = new FrameReader(recorder);
  reader.read(Buffer.from(`${preface}${frameHead(10, frameTypes.data, 0, 1)}abc`, 'latin1'));
  reader.read(Buffer.from('de'));
  assert.deepEqual(pieces, ['abc', 'de']);
});

const broken: ReadonlyArray<readonly [string, string, number]> = [
  ['a frame too large', frameHead(largestFrame + 1, frameTypes.headers, 0, 1), errorCodes.frameSize],
  ['DATA too large', frameHead(largestFrame + 1, frameTypes.data, 0, 1), errorCodes.frameSize],
  ['no room for padding', frameHead(0, frameTypes.data, flags.padded, 1), errorCodes.frameSize],
  ['too much padding', `${frameHead(3, frameTypes.data, flags.padded, 1)}\x03`, errorCodes.protocol],
];

for (const [name, bytes, code] of broken) {
  test(`the connection ends: ${name}`, () => {
    assert.throws(() => read([Buffer.from(bytes, 'latin1')]), { name: 'ConnectionError', code });
  });
}

test('a block too large for one frame goes out in several', () => {
  const block = 'x'.repeat(2 * largestFrame + 5);
  const sent = read([Buffer.from(headersFrames(3, block, true), 'latin1')]);
  assert.deepEqual(
    sent.map(([, type, bits, id]) => [type, bits, id]),
    [
      [frameTypes.headers, flags.endStream, 3],
      [frameTypes.continuation, 0, 3],
      [frameTypes.continuation, flags.endHeaders, 3],
    ],
  );
  assert.equal(sent.map(([, , , , payload]) => payload).join(''), block);
});
