import type { IncomingMessage } from 'node:http';
import { ServiceError } from '../../errors.ts';

/** Largest JSON or form body; the largest valid request is far smaller. */
export const bodyLimit = 1024 * 1024;
const bodyTimeoutMs = 20_000;
const discardLimit = 8 * 1024 * 1024;
const discardTimeoutMs = 5000;

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
    for await (const chunk of readable(message)) {
      size += chunk.length;
      if (size > bodyLimit) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof ServiceError) throw error;
    throw new ServiceError('SerializationException', 'The request body could not be read.', { cause: error });
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(chunks);
}

/** The body as chunks; unlike the message itself it can be left half read, and then still be answered. */
export function readable(message: IncomingMessage): AsyncIterable<Buffer> {
  return message.iterator({ destroyOnReturn: false });
}

/**
 * Reads on past what was refused, within limits: a connection closed on bytes that nobody read is reset, and
 * takes the answer with it.
 */
export async function discardBody(message: IncomingMessage): Promise<void> {
  if (message.complete || message.destroyed) return;
  let size = 0;
  const started = performance.now();
  const timer = setTimeout(() => message.destroy(), discardTimeoutMs);
  try {
    for await (const chunk of readable(message)) {
      size += chunk.length;
      if (size > discardLimit || performance.now() - started > discardTimeoutMs) return;
    }
  } catch {
    // The client is gone; there is nobody to answer.
  } finally {
    clearTimeout(timer);
  }
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
