import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checksumAlgorithms, createChecksum } from './checksum.ts';

/** Check values from the catalogues of CRCs: of the text `123456789`. */
const known = {
  crc32: 'cbf43926',
  crc32c: 'e3069283',
  crc64nvme: 'ae8b14860a799888',
  sha1: 'f7c3bc1d808e04732adf679965ccc34ca7ae3441',
  sha256: '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225',
} as const;

test('gives the catalogued values', () => {
  for (const algorithm of checksumAlgorithms) {
    const sum = createChecksum(algorithm);
    sum.update(Buffer.from('123456789'));
    assert.equal(sum.digest().toString('hex'), known[algorithm], algorithm);
  }
});

test('does not depend on how the bytes are cut', () => {
  fc.assert(
    fc.property(fc.constantFrom(...checksumAlgorithms), fc.array(fc.uint8Array()), (algorithm, pieces) => {
      const inPieces = createChecksum(algorithm);
      for (const piece of pieces) inPieces.update(piece);
      const atOnce = createChecksum(algorithm);
      atOnce.update(Buffer.concat(pieces));
      assert.deepEqual(inPieces.digest(), atOnce.digest());
    }),
  );
});
