import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { type BodyDecoder, ChunkedDecoder, EndlessDecoder, LengthDecoder } from './body-decoder.ts';
import { BodyWriter } from './body-writer.ts';
import { MalformedMessage, OversizedMessage } from './grammar.ts';
import { Outbox } from './outbox.ts';

/** All that a decoder gives for bytes that come in pieces. */
function decode(decoder: BodyDecoder, pieces: readonly Buffer[]): { content: string; rest: string } {
  const payload: Buffer[] = [];
  let rest = '';
  for (const piece of pieces) {
    rest += decoder.done ? piece.toString('latin1') : decoder.decode(piece, payload).toString('latin1');
  }
  return { content: Buffer.concat(payload).toString('latin1'), rest };
}

function bytewise(text: string): readonly Buffer[] {
  return Array.from(Buffer.from(text, 'latin1'), (byte) => Buffer.of(byte));
}

const chunked: ReadonlyArray<readonly [string, string, string]> = [
  ['nothing', '0\r\n\r\n', ''],
  ['one chunk', '5\r\nhello\r\n0\r\n\r\n', 'hello'],
  [
    'sizes in either case, with zeros',
    '00A\r\n0123456789\r\n0b\r\n0123456789a\r\n000\r\n\r\n',
    '01234567890123456789a',
  ],
  ['extensions', '5;a=b;c="d e"\r\nhello\r\n0;x\r\n\r\n', 'hello'],
  ['line ends in the content', '4\r\n\r\n\r\n\r\n0\r\n\r\n', '\r\n\r\n'],
];

for (const [name, text, content] of chunked) {
  test(`the chunked coding: ${name}`, () => {
    for (const pieces of [[Buffer.from(`${text}behind`)], bytewise(`${text}behind`)]) {
      const decoder = new ChunkedDecoder(1000);
      assert.deepEqual(decode(decoder, pieces), { content, rest: 'behind' });
      assert.ok(decoder.done);
      assert.deepEqual(decoder.trailers, []);
    }
  });
}

const malformed: ReadonlyArray<readonly [string, string]> = [
  ['no size', '\r\n'],
  ['a sign', '+5\r\nhello\r\n'],
  ['0x', '0x5\r\nhello\r\n'],
  ['a space before the size', ' 5\r\nhello\r\n'],
  ['a space behind the size', '5 \r\nhello\r\n'],
  ['no number', 'zz\r\n'],
  ['a size too large', 'fffffffffffff\r\n'],
  ['a bare LF behind the size', '5\nhello\r\n'],
  ['a bare CR behind the size', '5\rhello\r\n'],
  ['a bare LF in an extension', '5;a\nhello\r\n0\r\n\r\n'],
  ['a control character in an extension', '5;\x00\r\nhello\r\n0\r\n\r\n'],
  ['more content than the size', '5\r\nhello!\r\n0\r\n\r\n'],
  ['less content than the size', '7\r\nhello\r\n0\r\n\r\n'],
  ['a bare LF behind the content', '5\r\nhello\n0\r\n\r\n'],
  ['a trailer with a space before the colon', '0\r\nX : y\r\n\r\n'],
  ['a folded trailer', '0\r\nX: y\r\n z\r\n\r\n'],
  ['a trailer with a bare LF', '0\r\nX: y\nZ: w\r\n\r\n'],
];

for (const [name, text] of malformed) {
  test(`malformed chunks: ${name}`, () => {
    for (const pieces of [[Buffer.from(text, 'latin1')], bytewise(text)]) {
      assert.throws(() => decode(new ChunkedDecoder(1000), pieces), MalformedMessage);
    }
  });
}

test('extensions and trailers are bounded', () => {
  const extension = Buffer.from(`1;${'a'.repeat(1000)}\r\nx\r\n`);
  assert.throws(() => decode(new ChunkedDecoder(1000), Array(10).fill(extension)), MalformedMessage);
  const trailers = `0\r\n${'X: y\r\n'.repeat(1000)}\r\n`;
  assert.throws(() => decode(new ChunkedDecoder(1000), [Buffer.from(trailers)]), OversizedMessage);
  assert.throws(() => decode(new ChunkedDecoder(1000), bytewise(trailers)), OversizedMessage);
});

test('a known length is neither more nor less', () => {
  for (const pieces of [[Buffer.from('hello behind')], bytewise('hello behind')]) {
    assert.deepEqual(decode(new LengthDecoder(5), pieces), { content: 'hello', rest: ' behind' });
  }
  const short = new LengthDecoder(5);
  decode(short, [Buffer.from('hell')]);
  assert.equal(short.done, false);
  assert.deepEqual(decode(new EndlessDecoder(), [Buffer.from('all')]), { content: 'all', rest: '' });
});

test('what is written is read back, however it is cut', () => {
  const trailer = fc.constantFrom<string[]>([], ['X-Sum', '1'], ['A', '', 'B', 'c d']);
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 }),
      trailer,
      fc.array(fc.nat(), { maxLength: 8 }),
      (chunks, trailers, cuts) => {
        const written: Buffer[] = [];
        const stream = new Writable({
          write(chunk: Buffer, _encoding, done) {
            written.push(chunk);
            done();
          },
        });
        const writer = new BodyWriter(new Outbox(stream), 'chunked');
        for (const chunk of chunks) writer.write(chunk);
        writer.end(trailers);
        const bytes = Buffer.concat([...written, Buffer.from('next')]);
        const places = cuts.map((cut) => cut % bytes.length).toSorted((a, b) => a - b);
        const pieces = [0, ...places].map((from, index) =>
          bytes.subarray(from, places[index] ?? bytes.length),
        );
        const decoder = new ChunkedDecoder(1000);
        const { content, rest } = decode(decoder, pieces);
        assert.equal(content, Buffer.concat(chunks).toString('latin1'));
        assert.equal(rest, 'next');
        assert.deepEqual(decoder.trailers, trailers);
      },
    ),
  );
});

test('a body of an announced length is not completed with another', () => {
  const writer = (length: number): BodyWriter =>
    new BodyWriter(new Outbox(new Writable({ write: (_chunk, _encoding, done) => done() })), length);
  assert.throws(() => writer(3).write(Buffer.from('four')), MalformedMessage);
  const short = writer(3);
  short.write(Buffer.from('tw'));
  assert.throws(() => short.end([]), MalformedMessage);
  short.write(Buffer.from('o'));
  short.end([]);
});

test('trailers of an application may end with a bare LF, chunks may not', () => {
  for (const pieces of [[Buffer.from('0\r\nX: y\nZ: w\n\nbehind')], bytewise('0\r\nX: y\nZ: w\n\nbehind')]) {
    const decoder = new ChunkedDecoder(1000, 'CR LF or LF');
    assert.equal(decode(decoder, pieces).rest, 'behind');
    assert.deepEqual(decoder.trailers, ['X', 'y', 'Z', 'w']);
  }
  const none = new ChunkedDecoder(1000, 'CR LF or LF');
  assert.equal(decode(none, bytewise('0\r\n\nbehind')).rest, 'behind');
  const chunks = new ChunkedDecoder(1000, 'CR LF or LF');
  assert.throws(() => decode(chunks, bytewise('5\nhello\r\n0\r\n\r\n')), MalformedMessage);
});
