import type { Duplex } from 'node:stream';

const lengthBytes = 2;
const longestQuery = 4096;
const idleMs = 10_000;

/**
 * Answers queries that come over a stream, one after the other (RFC 7766). The stream ends with its other end,
 * with a query that is none, or when nothing comes for a while.
 */
export async function serveNamesOver(
  stream: Duplex,
  answer: (query: Buffer) => Promise<Buffer | undefined>,
): Promise<void> {
  const timer = setTimeout(() => stream.destroy(), idleMs);
  let received: Buffer = Buffer.alloc(0);
  try {
    // Not destroyed at its end: the last answer may still be on its way.
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      timer.refresh();
      received = Buffer.concat([received, chunk as Buffer]);
      for (let query = firstMessage(received); query !== undefined; query = firstMessage(received)) {
        received = received.subarray(lengthBytes + query.length);
        const said = query.length > longestQuery ? undefined : await answer(query);
        if (said === undefined) {
          stream.destroy();
          return;
        }
        const length = Buffer.alloc(lengthBytes);
        length.writeUInt16BE(said.length);
        // A guest that does not take its answers gets no more of them.
        await new Promise((resolve) => stream.write(Buffer.concat([length, said]), resolve));
      }
      if (received.length > lengthBytes + longestQuery) stream.destroy();
    }
    stream.end();
  } catch {
    // The guest reset its connection; there is nobody to answer.
    stream.destroy();
  } finally {
    clearTimeout(timer);
  }
}

function firstMessage(received: Buffer): Buffer | undefined {
  if (received.length < lengthBytes) return undefined;
  const end = lengthBytes + received.readUInt16BE(0);
  return end <= received.length ? received.subarray(lengthBytes, end) : undefined;
}
