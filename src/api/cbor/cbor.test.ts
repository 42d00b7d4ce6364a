import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CborError, decodeCbor } from './decode.ts';
import { CborTime, type CborValue, encodeCbor } from './encode.ts';

test('reads what it writes', () => {
  const { tree } = fc.letrec<{ tree: CborValue }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(null, true, false),
      fc.maxSafeInteger(),
      fc.double({ noNaN: true }),
      fc.string({ unit: 'grapheme' }),
      fc.array(tie('tree'), { maxLength: 30 }),
      fc.dictionary(fc.string({ unit: 'grapheme' }), tie('tree'), { maxKeys: 30, noNullPrototype: false }),
    ),
  }));
  fc.assert(
    fc.property(tree, (value) => {
      assert.deepEqual(plain(decodeCbor(encodeCbor(value))), plain(value));
    }),
  );
});

function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_key, item) => (Object.is(item, -0) ? 0 : item)));
}

test('reads the examples of RFC 8949', () => {
  for (const [hex, value] of [
    ['1bffffffffffffffff', 2 ** 64],
    ['3903e7', -1000],
    ['f93c00', 1],
    ['f90001', 2 ** -24],
    ['f97c00', Number.POSITIVE_INFINITY],
    ['fa47c35000', 100_000],
    ['fbc010666666666666', -4.1],
    ['c11a514b67b0', 1_363_896_240],
    ['9f018202039f0405ffff', [1, [2, 3], [4, 5]]],
    ['7f657374726561646d696e67ff', 'streaming'],
    ['f7', null],
  ] as const) {
    assert.deepEqual(decodeCbor(Buffer.from(hex, 'hex')), value, hex);
  }
  assert.deepEqual(
    { ...(decodeCbor(Buffer.from('bf61610161629f0203ffff', 'hex')) as object) },
    {
      a: 1,
      b: [2, 3],
    },
  );
  assert.equal(encodeCbor(new CborTime(1_363_896_240_500)).toString('hex'), 'c1fb41d452d9ec200000');
});

test('refuses anything else without failing otherwise', () => {
  for (const hex of [
    '',
    '18',
    '62',
    '5f',
    '9f',
    'a1',
    'a10102',
    'ff',
    '8101ff',
    '82ff',
    '0000',
    '1c',
    'fc',
    'c1ff',
  ]) {
    assert.throws(() => decodeCbor(Buffer.from(hex, 'hex')), CborError, hex);
  }
  assert.throws(() => decodeCbor(Buffer.alloc(100_000, 0x81)), CborError);
  assert.throws(() => decodeCbor(Buffer.from('9affffffff', 'hex')), CborError);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        decodeCbor(Buffer.from(bytes));
      } catch (error) {
        assert(error instanceof CborError);
      }
    }),
    { numRuns: 3000 },
  );
});
