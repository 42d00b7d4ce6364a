import { createHash } from 'node:crypto';
import { S3Error } from '../../s3/s3-error.ts';
import { emptyBodyHash, scopeText, sha256Hex, sign } from '../sigv4/canonical.ts';
import type { SignatureClaim } from '../sigv4/claim.ts';
import { sameSecret } from '../sigv4/verify.ts';
import { type ByteReader, createByteReader } from './byte-reader.ts';

const headerLimit = 1024;
const trailerLimit = 4096;
const trailerCount = 16;
const pieceBytes = 64 * 1024;

/** What continues the signature of the request over the chunks of its body. */
export interface ChunkSigner {
  readonly claim: SignatureClaim;
  readonly key: Buffer;
}

/**
 * Decodes an `aws-chunked` body. Chunks are passed on as they come; a wrong signature is found at the end of
 * its chunk, so the receiver must not act on the body before the stream has ended.
 * @param signer undefined for the unsigned variant
 * @param trailers filled with the trailing headers once the stream has ended, names in lower case
 * @throws {S3Error}
 */
export async function* decodeAwsChunked(
  source: AsyncIterable<Buffer>,
  signer: ChunkSigner | undefined,
  trailers: Map<string, string>,
): AsyncGenerator<Buffer> {
  const reader = createByteReader(source);
  let previous = signer?.claim.signature ?? '';
  for (;;) {
    const { size, signature } = parseChunkHeader(await reader.line(headerLimit, malformed));
    const hash = createHash('sha256');
    for (let left = size; left > 0; ) {
      const piece = await reader.some(Math.min(left, pieceBytes));
      if (piece === undefined) throw incomplete();
      if (signer !== undefined) hash.update(piece);
      left -= piece.length;
      yield piece;
    }
    if (signer !== undefined) {
      const expected = sign(signer.key, chunkText(signer.claim, previous, hash.digest('hex')));
      if (signature === undefined || !sameSecret(expected, signature)) throw wrongSignature();
      previous = expected;
    }
    if (size === 0) break;
    if ((await reader.line(2, malformed)) !== '') throw malformed();
  }
  await readTrailers(reader, signer, previous, trailers);
}

function parseChunkHeader(line: string | undefined): { size: number; signature: string | undefined } {
  if (line === undefined) throw incomplete();
  const match = /^([0-9a-fA-F]{1,8})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(line);
  const [, size, signature] = match ?? [];
  if (size === undefined) throw malformed();
  return { size: Number.parseInt(size, 16), signature };
}

async function readTrailers(
  reader: ByteReader,
  signer: ChunkSigner | undefined,
  previous: string,
  trailers: Map<string, string>,
): Promise<void> {
  let signed = '';
  let signature: string | undefined;
  for (let count = 0; ; count += 1) {
    const line = await reader.line(trailerLimit, malformed);
    if (line === undefined || line === '') break;
    const colon = line.indexOf(':');
    if (colon === -1 || count === trailerCount) throw malformed();
    const name = line.slice(0, colon).trim().toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === 'x-amz-trailer-signature') {
      signature = value;
    } else {
      trailers.set(name, value);
      signed += `${name}:${value}\n`;
    }
  }
  if (signer !== undefined && signed !== '') {
    const expected = sign(signer.key, trailerText(signer.claim, previous, sha256Hex(signed)));
    if (signature === undefined || !sameSecret(expected, signature)) throw wrongSignature();
  }
}

function chunkText({ timestamp, scope }: SignatureClaim, previous: string, hash: string): string {
  return ['AWS4-HMAC-SHA256-PAYLOAD', timestamp, scopeText(scope), previous, emptyBodyHash, hash].join('\n');
}

function trailerText({ timestamp, scope }: SignatureClaim, previous: string, hash: string): string {
  return ['AWS4-HMAC-SHA256-TRAILER', timestamp, scopeText(scope), previous, hash].join('\n');
}

function malformed(): S3Error {
  return new S3Error('InvalidRequest', 'The body is not well-formed aws-chunked content.');
}

function incomplete(): S3Error {
  return new S3Error(
    'IncompleteBody',
    'You did not provide the number of bytes specified by the Content-Length HTTP header',
  );
}

function wrongSignature(): S3Error {
  return new S3Error(
    'SignatureDoesNotMatch',
    'The chunk signature we calculated does not match the signature you provided.',
  );
}
