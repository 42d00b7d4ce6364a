import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { GuestProtocolError } from './guest-agent.ts';
import { guestMagic, helloBytes, hostMagic, magicBytes, nonceBytes, protocolVersion, u32 } from './wire.ts';

/** What a guest may still have to say of an earlier session before it answers. */
const longestRemains = 16 * 1024 * 1024;

/**
 * Opens a session: sends the greeting and skips everything until the guest's answer to it. What an earlier
 * session left in the channel belongs to nobody.
 * @returns bytes that came after the answer
 * @throws {GuestProtocolError} no answer in time, or the channel closed
 */
export async function greet(transport: Duplex, timeoutMs: number): Promise<Buffer> {
  const nonce = randomBytes(nonceBytes);
  const answer = Buffer.concat([guestMagic, u32(protocolVersion), nonce]);
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const refuse = (reason: string) => (): void => reject(new GuestProtocolError(reason));
  const timer = setTimeout(refuse('the guest agent did not answer in time'), timeoutMs);
  let received: Buffer = Buffer.alloc(0);
  let skipped = 0;
  const onData = (chunk: Buffer): void => {
    received = Buffer.concat([received, chunk]);
    const at = received.indexOf(answer);
    if (at >= 0) {
      resolve(received.subarray(at + helloBytes));
      return;
    }
    if (namesOtherVersion(received, nonce)) refuse('the guest agent speaks another version')();
    const excess = Math.max(0, received.length - helloBytes);
    skipped += excess;
    received = received.subarray(excess);
    if (skipped > longestRemains) refuse('the guest talks without answering')();
  };
  const onClose = refuse('the channel to the guest closed');
  transport.on('data', onData);
  transport.once('close', onClose);
  transport.once('end', onClose);
  transport.write(Buffer.concat([hostMagic, u32(protocolVersion), nonce]));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    transport.pause();
    transport.off('data', onData);
    transport.off('close', onClose);
    transport.off('end', onClose);
  }
}

function namesOtherVersion(received: Buffer, nonce: Buffer): boolean {
  const at = received.indexOf(nonce);
  const magicAt = at - 4 - magicBytes;
  return at >= 0 && magicAt >= 0 && received.subarray(magicAt, magicAt + magicBytes).equals(guestMagic);
}
