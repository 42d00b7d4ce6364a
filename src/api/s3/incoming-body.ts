import type { BlobDigests } from '../../s3/blob-files.ts';
import { type ChecksumAlgorithm, checksumAlgorithms, isChecksumAlgorithm } from '../../s3/checksum.ts';
import type { IncomingBody } from '../../s3/object-store.ts';
import { badDigest, S3Error } from '../../s3/s3-error.ts';
import { readable } from '../http/body.ts';
import { sameSecret } from '../sigv4/verify.ts';
import { decodeAwsChunked } from './aws-chunked.ts';
import { header, type S3Request } from './s3-request.ts';

const hexHash = /^[0-9a-f]{64}$/;

/**
 * The body of a request as the store takes it: decoded, with every promise the client made about it checked
 * at its end (payload hash, Content-MD5, checksum headers and trailers, length).
 * @param alsoCompute a checksum to have even if the client sends none
 * @throws {S3Error} for headers that contradict themselves
 */
export function incomingBody(request: S3Request, alsoCompute?: ChecksumAlgorithm): IncomingBody {
  const { payloadHash } = request;
  const trailers = new Map<string, string>();
  const announced = announcedChecksums(request);
  const algorithms = alsoCompute === undefined ? announced : [...new Set([...announced, alsoCompute])];
  const md5 = contentMd5(request);
  return {
    stream: bodyStream(request, trailers),
    algorithms,
    withSha256: hexHash.test(payloadHash),
    verify(digests) {
      if (digests.sha256 !== undefined && !sameSecret(digests.sha256, payloadHash)) {
        throw new S3Error(
          'XAmzContentSHA256Mismatch',
          "The provided 'x-amz-content-sha256' header does not match what was computed.",
        );
      }
      if (md5 !== undefined && md5 !== digests.md5) throw badDigest('Content-MD5');
      verifyLength(request, digests);
      for (const algorithm of announced) {
        const name = `x-amz-checksum-${algorithm}`;
        const expected = header(request, name) ?? trailers.get(name);
        if (expected !== undefined && expected !== digests.checksums.get(algorithm)) {
          throw badDigest(algorithm.toUpperCase());
        }
      }
      verifyTrailers(request, trailers);
    },
  };
}

function bodyStream(request: S3Request, trailers: Map<string, string>): AsyncIterable<Buffer> {
  const { payloadHash, message, claim, signingKey } = request;
  switch (payloadHash) {
    case 'UNSIGNED-PAYLOAD':
      return readable(message);
    case 'STREAMING-UNSIGNED-PAYLOAD-TRAILER':
      return decodeAwsChunked(readable(message), undefined, trailers);
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD':
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER':
      return decodeAwsChunked(readable(message), { claim, key: signingKey }, trailers);
    default:
      if (hexHash.test(payloadHash)) return readable(message);
      throw new S3Error(
        'InvalidArgument',
        'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING- marker or a valid sha256 value.',
        { ArgumentName: 'x-amz-content-sha256' },
      );
  }
}

function announcedChecksums(request: S3Request): ChecksumAlgorithm[] {
  const chosen = (header(request, 'x-amz-sdk-checksum-algorithm') ?? '').toLowerCase();
  if (chosen !== '' && !isChecksumAlgorithm(chosen)) {
    throw new S3Error(
      'InvalidRequest',
      'The algorithm type you specified in x-amz-sdk-checksum-algorithm is invalid.',
    );
  }
  const trailers = announcedTrailers(request);
  return checksumAlgorithms.filter((algorithm) => {
    const name = `x-amz-checksum-${algorithm}`;
    return algorithm === chosen || header(request, name) !== undefined || trailers.includes(name);
  });
}

function announcedTrailers(request: S3Request): string[] {
  const names = (header(request, 'x-amz-trailer') ?? '').toLowerCase().split(',');
  return names.map((name) => name.trim()).filter((name) => name !== '');
}

/** Hex of the header's base64. */
function contentMd5(request: S3Request): string | undefined {
  const value = header(request, 'content-md5');
  if (value === undefined) return undefined;
  const bytes = Buffer.from(value, 'base64');
  if (bytes.length !== 16) throw new S3Error('InvalidDigest', 'The Content-MD5 you specified was invalid.');
  return bytes.toString('hex');
}

function verifyLength(request: S3Request, digests: BlobDigests): void {
  const stated = header(request, 'x-amz-decoded-content-length');
  if (stated !== undefined && Number(stated) !== digests.size) {
    throw new S3Error(
      'IncompleteBody',
      'You did not provide the number of bytes specified by the x-amz-decoded-content-length HTTP header',
    );
  }
}

function verifyTrailers(request: S3Request, trailers: ReadonlyMap<string, string>): void {
  for (const name of announcedTrailers(request)) {
    if (!trailers.has(name)) {
      throw new S3Error('InvalidRequest', `The trailer ${name} was announced but not sent.`);
    }
  }
}
