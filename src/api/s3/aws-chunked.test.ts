import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sha256Hex, sign, signingKey } from '../sigv4/canonical.ts';
import type { SignatureClaim } from '../sigv4/claim.ts';
import { type ChunkSigner, decodeAwsChunked } from './aws-chunked.ts';

/** The worked example of the documentation of S3: 66,560 times the letter a. */
const scope = { date: '20130524', region: 'us-east-1', service: 's3' };
const claim: SignatureClaim = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  scope,
  signedHeaders: [],
  signature: '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
  timestamp: '20130524T000000Z',
  signedAt: Date.UTC(2013, 4, 24),
  sessionToken: undefined,
  expiresInSeconds: undefined,
};
const signer: ChunkSigner = {
  claim,
  key: signingKey('wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY', scope),
};
const signatures = [
  'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648',
  '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497',
  'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9',
] as const;

function documented(letter = 'a'): Buffer {
  const chunk = (size: number, signature: string, letters: string) =>
    `${size.toString(16)};chunk-signature=${signature}\r\n${letters}\r\n`;
  return Buffer.from(
    chunk(65_536, signatures[0], 'a'.repeat(65_536)) +
      chunk(1024, signatures[1], letter.repeat(1024)) +
      chunk(0, signatures[2], ''),
  );
}

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
}

async function decode(
  bytes: Buffer,
  by: ChunkSigner | undefined,
  size = 1000,
): Promise<{ text: string; trailers: Map<string, string> }> {
  const trailers = new Map<string, string>();
  const parts: Buffer[] = [];
  for await (const part of decodeAwsChunked(inPieces(bytes, size), by, trailers)) parts.push(part);
  return { text: Buffer.concat(parts).toString(), trailers };
}

test('decodes the documented example and verifies its signatures', async () => {
  assert.equal((await decode(documented(), signer)).text, 'a'.repeat(66_560));
});

test('refuses changed content, a changed signature and a missing one', async () => {
  await assert.rejects(decode(documented('b'), signer), { code: 'SignatureDoesNotMatch' });
  const other = Buffer.from(documented().toString().replace(signatures[2], signatures[1]));
  await assert.rejects(decode(other, signer), { code: 'SignatureDoesNotMatch' });
  await assert.rejects(decode(Buffer.from('1\r\na\r\n0\r\n\r\n'), signer), { code: 'SignatureDoesNotMatch' });
});

test('verifies signed trailers', async () => {
  const line = 'x-amz-checksum-crc32c:wdBDMA==\n';
  const text = `AWS4-HMAC-SHA256-TRAILER\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n${signatures[2]}\n${sha256Hex(line)}`;
  const signature = sign(signer.key, text);
  const body = (trailer: string, signed: string) =>
    Buffer.from(
      documented()
        .toString()
        .replace(/\r\n\r\n$/, `\r\n${trailer.trim()}\r\nx-amz-trailer-signature:${signed}\r\n\r\n`),
    );
  const { trailers } = await decode(body(line, signature), signer);
  assert.equal(trailers.get('x-amz-checksum-crc32c'), 'wdBDMA==');
  await assert.rejects(decode(body('x-amz-checksum-crc32c:AAAAAA==', signature), signer), {
    code: 'SignatureDoesNotMatch',
  });
});

test('decodes unsigned chunks and trailers however they are cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: 'grapheme-ascii', minLength: 1 })),
      fc.integer({ min: 1, max: 50 }),
      async (chunks, size) => {
        const body = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('');
        const bytes = Buffer.from(`${body}0\r\nX-Amz-Checksum-Crc32: abc \r\n\r\n`, 'latin1');
        const { text, trailers } = await decode(bytes, undefined, size);
        assert.equal(text, chunks.join(''));
        assert.deepEqual([...trailers], [['x-amz-checksum-crc32', 'abc']]);
      },
    ),
  );
});

test('refuses what is not well-formed or breaks off', async () => {
  for (const body of [
    'zz\r\n',
    'x',
    '5\r\nabcdefgh',
    '-1\r\n\r\n',
    `${'1'.repeat(5000)}`,
    '1\r\nab\r\n0\r\n\r\n',
  ]) {
    await assert.rejects(decode(Buffer.from(body), undefined), { code: 'InvalidRequest' }, body);
  }
  for (const body of ['', '5\r\nabc', '1\r\na\r\n']) {
    await assert.rejects(decode(Buffer.from(body), undefined), { code: 'IncompleteBody' }, body);
  }
});
