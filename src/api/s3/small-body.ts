import { createHash } from 'node:crypto';
import { createChecksum } from '../../s3/checksum.ts';
import { malformedXml, S3Error } from '../../s3/s3-error.ts';
import { parseXml, type XmlElement, XmlError } from '../xml/parse.ts';
import { incomingBody } from './incoming-body.ts';
import type { S3Request } from './s3-request.ts';

/** 10,000 parts or 1,000 long keys with their markup. */
const documentLimit = 4 * 1024 * 1024;

/**
 * Reads and verifies a body that is a small XML document.
 * @param limit largest size in bytes
 * @throws {S3Error} MalformedXML, or what the body fails with
 */
export async function readXml(request: S3Request, limit?: number): Promise<XmlElement> {
  const text = (await readSmallBody(request, limit)).toString('utf8');
  try {
    return parseXml(text);
  } catch (error) {
    if (error instanceof XmlError) throw malformedXml();
    throw error;
  }
}

export async function readSmallBody(request: S3Request, limit = documentLimit): Promise<Buffer> {
  const body = incomingBody(request);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body.stream) {
    size += chunk.length;
    if (size > limit) throw new S3Error('EntityTooLarge', 'The document is larger than any valid one.');
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  body.verify({
    size,
    md5: createHash('md5').update(bytes).digest('hex'),
    sha256: body.withSha256 ? createHash('sha256').update(bytes).digest('hex') : undefined,
    checksums: new Map(
      body.algorithms.map((algorithm) => {
        const sum = createChecksum(algorithm);
        sum.update(bytes);
        return [algorithm, sum.digest().toString('base64')];
      }),
    ),
  });
  return bytes;
}
