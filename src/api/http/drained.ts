import { type EventEmitter, once } from 'node:events';

/** Time a reader has to take what was written to it. */
const readerTimeoutMs = 30_000;

/** What is written to, such as a response. */
interface Writable extends EventEmitter {
  destroy(): unknown;
}

/**
 * Waits until a reader has taken what was written. One that takes too long is cut off, and finds its place again
 * when it comes back.
 * @throws when the reader is gone, or was cut off
 */
export async function drained(response: Writable, signal: AbortSignal): Promise<void> {
  const timer = setTimeout(() => response.destroy(), readerTimeoutMs);
  try {
    await once(response, 'drain', { signal });
  } finally {
    clearTimeout(timer);
  }
}
