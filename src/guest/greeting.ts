import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { GuestProtocolError, GuestVersionError } from './guest-agent.ts';
import {
  guestMagic,
  headerBytes,
  helloBytes,
  hostMagic,
  magicBytes,
  maximumPayload,
  nonceBytes,
  protocolVersion,
  u32,
} from './wire.ts';

const tries = 3;
/**
 * Sent before a repeated greeting. A guest that has not noticed the end of an earlier session takes a greeting
 * for the rest of that session's frame; this completes the longest one, and is no valid header itself.
 */
const filler = Buffer.alloc(headerBytes + maximumPayload, 0xff);

/** What a guest may still have to say of an earlier session before it answers. */
const longestRemains = 16 * 1024 * 1024;

/**
 * Opens a session: sends the greeting and skips everything until the guest's answer to it. What an earlier
 * session left in the channel belongs to nobody.
 * @returns bytes that came after the answer
 * @throws {GuestProtocolError} no answer in time, or the channel closed; {@link GuestVersionError} an answer of
 *   another version
 */
export async function greet(transport: Duplex, timeoutMs: number): Promise<Buffer> {
  // Each greeting has its own: only the answer to the last one begins the session.
  let nonce = randomBytes(nonceBytes);
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const refuse = (reason: string) => (): void => reject(new GuestProtocolError(reason));
  const timer = setTimeout(refuse('the guest agent did not answer in time'), timeoutMs);
  let received: Buffer = Buffer.alloc(0);
  let skipped = 0;
  const onData = (chunk: Buffer): void => {
    received = Buffer.concat([received, chunk]);
    const at = received.indexOf(Buffer.concat([guestMagic, u32(protocolVersion), nonce]));
    if (at >= 0) {
      resolve(received.subarray(at + helloBytes));
      return;
    }
    const version = answeredVersion(received, nonce);
    if (version !== undefined) {
      const both = `version ${version} of its protocol, this server version ${protocolVersion}`;
      reject(new GuestVersionError(`the guest agent speaks ${both}`));
    }
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
  const repeat = setInterval(() => {
    nonce = randomBytes(nonceBytes);
    transport.write(Buffer.concat([filler, hostMagic, u32(protocolVersion), nonce]));
  }, timeoutMs / tries);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    clearInterval(repeat);
    transport.pause();
    transport.off('data', onData);
    transport.off('close', onClose);
    transport.off('end', onClose);
  }
}

/** The version in a guest's answer to the greeting with this nonce; undefined where there is none yet. */
function answeredVersion(received: Buffer, nonce: Buffer): number | undefined {
  const at = received.indexOf(nonce) - 4;
  const isAnswer = at >= magicBytes && received.subarray(at - magicBytes, at).equals(guestMagic);
  return isAnswer ? received.readUInt32LE(at) : undefined;
}
