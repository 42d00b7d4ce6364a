import type { IncomingMessage } from 'node:http';
import { ServiceError } from '../../errors.ts';

/** Largest JSON or form body; the largest valid request is far smaller. */
export const bodyLimit = 1024 * 1024;
const bodyTimeoutMs = 20_000;

/**
 * Reads a whole request body.
 * @throws {ServiceError} when it is too large, comes too slowly or breaks off
 */
export async function readBody(message: IncomingMessage): Promise<Buffer> {
  if (Number(message.headers['content-length'] ?? 0) > bodyLimit) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  const timer = setTimeout(() => message.destroy(new Error('body timeout')), bodyTimeoutMs);
  try {
    for await (const chunk of message) {
      const bytes = chunk as Buffer;
      size += bytes.length;
      if (size > bodyLimit) throw tooLarge();
      chunks.push(bytes);
    }
  } catch (error) {
    if (error instanceof ServiceError) throw error;
    throw new ServiceError('SerializationException', 'The request body could not be read.', { cause: error });
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(chunks);
}

/** @throws {ServiceError} SerializationException for what is not JSON (wording unrecorded) */
export function parseJsonBody(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw new ServiceError('SerializationException', 'Could not parse request body into json.');
  }
}

function tooLarge(): ServiceError {
  return new ServiceError(
    'RequestEntityTooLargeException',
    `Request must be smaller than ${bodyLimit} bytes for this operation`,
  );
}
