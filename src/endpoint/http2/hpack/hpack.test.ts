import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ConnectionError, errorCodes } from '../errors.ts';
import { HpackDecoder } from './decoder.ts';
import { fieldName, fieldsBlock, statusBlock, uniqueField } from './encoder.ts';
import { decodeHuffman, encodeHuffman, huffmanLength, mostDecoded } from './huffman.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');
const decoder = (): HpackDecoder => new HpackDecoder(64 * 1024);

const firstRequest = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com'];
const secondRequest = [...firstRequest, 'cache-control', 'no-cache'];
const thirdRequest = [
  ...[':method', 'GET', ':scheme', 'https', ':path', '/index.html', ':authority', 'www.example.com'],
  ...['custom-key', 'custom-value'],
];

/** RFC 7541, appendix C: blocks that follow each other on a connection, and what they say. */
const examples: ReadonlyArray<readonly [string, ReadonlyArray<readonly [string, readonly string[]]>]> = [
  [
    'C.2.1: a literal that is indexed',
    [['400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572', ['custom-key', 'custom-header']]],
  ],
  ['C.2.2: a literal that is not', [['040c 2f73 616d 706c 652f 7061 7468', [':path', '/sample/path']]]],
  ['C.2.3: one that never is', [['1008 7061 7373 776f 7264 0673 6563 7265 74', ['password', 'secret']]]],
  ['C.2.4: an index', [['82', [':method', 'GET']]]],
  [
    'C.3: requests',
    [
      ['8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d', firstRequest],
      ['8286 84be 5808 6e6f 2d63 6163 6865', secondRequest],
      ['8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65', thirdRequest],
    ],
  ],
  [
    'C.4: requests, Huffman-coded',
    [
      ['8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff', firstRequest],
      ['8286 84be 5886 a8eb 1064 9cbf', secondRequest],
      ['8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf', thirdRequest],
    ],
  ],
];

for (const [name, blocks] of examples) {
  test(`RFC 7541, ${name}`, () => {
    const reader = decoder();
    for (const [block, list] of blocks) {
      assert.deepEqual(reader.decode(hex(block)), { list: [...list], oversized: false });
    }
  });
}

const response = (status: string, date: string, ...more: readonly string[]): string[] => [
  ...[':status', status, 'cache-control', 'private', 'date', date],
  ...['location', 'https://www.example.com', ...more],
];
const date21 = 'Mon, 21 Oct 2013 20:13:21 GMT';
const date22 = 'Mon, 21 Oct 2013 20:13:22 GMT';
const cookie = 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1';

test('RFC 7541, C.6: responses, Huffman-coded, in a table of 256 bytes that has to make room', () => {
  const reader = decoder();
  const blocks: ReadonlyArray<readonly [string, readonly string[]]> = [
    // The example's table is as small as its SETTINGS say; here a size update says it.
    [
      `3fe1 01 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
      2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
      response('302', date21),
    ],
    ['4883 640e ff c1 c0 bf', response('307', date21)],
    [
      `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7
      821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed
      4ee5 b106 3d50 07`,
      response('200', date22, 'content-encoding', 'gzip', 'set-cookie', cookie),
    ],
  ];
  for (const [block, list] of blocks) {
    const { list: decoded } = reader.decode(hex(block));
    const sorted = (fields: readonly string[]): string[] =>
      fields.flatMap((entry, index) => (index % 2 === 0 ? [`${entry}: ${fields[index + 1]}`] : [])).sort();
    assert.deepEqual(sorted(decoded), sorted(list));
  }
});

test('every byte survives Huffman coding', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const coded = latin1(encodeHuffman(Buffer.from(bytes).toString('latin1')));
      assert.equal(coded.length, huffmanLength(Buffer.from(bytes).toString('latin1')));
      const target = Buffer.alloc(mostDecoded(coded.length));
      const written = decodeHuffman(coded, 0, coded.length, target);
      assert.deepEqual(target.subarray(0, written), Buffer.from(bytes));
    }),
  );
});

const names = fc.stringMatching(/^[a-z0-9!#$%&'*+.^_`|~-]{1,40}$/);
const values = fc.stringMatching(/^[\t -~\u0080-\u00ff]{0,200}$/);

test('fields survive encoding, whatever follows what', () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.tuple(names, values))), (messages) => {
      const reader = decoder();
      for (const fields of messages) {
        assert.deepEqual(reader.decode(latin1(fieldsBlock(fields.flat()))).list, fields.flat());
      }
    }),
  );
});

test('statuses, unique fields and names in upper case', () => {
  const block = `${statusBlock(200)}${statusBlock(418)}${uniqueField(fieldName('x-id'), 'é1')}${fieldsBlock(['Date', 'x'])}`;
  assert.deepEqual(decoder().decode(latin1(block)).list, [
    ...[':status', '200', ':status', '418', 'x-id', 'é1', 'date', 'x'],
  ]);
});

test('what no version of HTTP can say is not encoded', () => {
  for (const list of [
    ['a b', ''],
    ['', ''],
    ['a', 'b\r\nc: d'],
    ['a', '\0'],
    ['a', '\u4e2d'],
  ]) {
    assert.throws(() => fieldsBlock(list), { name: 'MalformedMessage' });
  }
});

test('any bytes give a list or a compression error, and the table stays within its size', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 })), (blocks) => {
      const reader = decoder();
      try {
        for (const block of blocks) reader.decode(Buffer.from(block));
      } catch (error) {
        assert.ok(error instanceof ConnectionError);
        assert.equal(error.code, errorCodes.compression);
      }
    }),
    { numRuns: 1000 },
  );
});

const broken: ReadonlyArray<readonly [string, string]> = [
  ['index 0', '80'],
  ['an index beyond both tables', 'be'],
  ['a name beyond both tables', '7f00 0161'],
  ['a number that does not end', 'ff80 8080 80'],
  ['a number too large', 'ffff ffff ff0f'],
  ['a string beyond the block', '0005 6162'],
  ['a block that ends before the value', '0001 61'],
  ['a table larger than agreed', '3fe2 1f'],
  ['a table size behind a field', '8220'],
  ['the end of a string inside one', '0001 6184 ffff fffc'],
  ['padding of 8 bits', '0001 6182 1fff'],
  ['padding of zeros', '0001 6181 18'],
];

for (const [name, block] of broken) {
  test(`a compression error: ${name}`, () => {
    assert.throws(() => decoder().decode(hex(block)), {
      name: 'ConnectionError',
      code: errorCodes.compression,
    });
  });
}

test('a list beyond the limit is read for the sake of those behind it, and not kept', () => {
  const reader = new HpackDecoder(100);
  const large = 'x'.repeat(60);
  const { list, oversized } = reader.decode(latin1(`\x40\x01a\x3c${large}${'\xbe'.repeat(1000)}`));
  assert.deepEqual([oversized, list], [true, ['a', large]]);
  assert.deepEqual(reader.decode(latin1('\xbe')), { list: ['a', large], oversized: false });
});

test('a table of no size keeps nothing, and can grow again', () => {
  const reader = decoder();
  assert.deepEqual(reader.decode(hex('20 4001 61 01 62')).list, ['a', 'b']);
  assert.throws(() => reader.decode(hex('be')));
  const other = decoder();
  other.decode(hex('20 3fe11f 4001 61 01 62'));
  assert.deepEqual(other.decode(hex('be')).list, ['a', 'b']);
});
