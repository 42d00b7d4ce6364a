/** Numbers of the agent protocol, twin of `guest-agent/wire.h`; see `docs/agent-protocol.md`. */

export { protocolVersion } from '../model/agent-protocol.ts';
export const magicBytes = 16;
export const nonceBytes = 16;
export const helloBytes = magicBytes + 4 + nonceBytes;
export const hostMagic = Buffer.from('DORMOUSE\x0e\xa1\x93\x5c\xd8HST', 'latin1');
export const guestMagic = Buffer.from('DORMOUSE\x0e\xa1\x93\x5c\xd8GST', 'latin1');

/** stream u32, length u16, type u8, zero u8 */
export const headerBytes = 8;
export const maximumPayload = 32_768;
/** Bytes either side takes at most on a stream before it has to grant more. */
export const streamWindow = 256 * 1024;
/** Credit is given back in portions of this size, not for every read. */
export const creditStep = streamWindow / 4;
/** Longest query of a name look-up, in bytes. */
export const longestQuery = 4096;

export const frame = {
  request: 1,
  reply: 2,
  info: 3,
  appExit: 4,
  log: 5,
  open: 10,
  opened: 11,
  failed: 12,
  data: 13,
  dataError: 14,
  eof: 15,
  reset: 16,
  windowMore: 17,
  exit: 18,
  resize: 19,
  signal: 20,
  dataPart: 21,
} as const;

/** `egressTcp` and `dns` are the guest's: under even ids. */
export const streamKind = { tcp: 1, exec: 2, egressTcp: 3, dns: 4, udp: 5 } as const;

export const operation = {
  startApp: 1,
  appStatus: 2,
  setClock: 3,
  addEntropy: 4,
  setIdentity: 5,
  sync: 6,
  stats: 7,
  listening: 8,
  quiesce: 9,
  appFields: 10,
  freeze: 11,
  execFields: 12,
} as const;

export const field = {
  argv: 1,
  env: 2,
  workdir: 3,
  uid: 4,
  gid: 5,
  group: 6,
  hostname: 7,
  allCapabilities: 8,
  pty: 9,
  user: 10,
  likeApp: 11,
  hold: 12,
  detach: 13,
} as const;
/** In a field's tag: its value goes on in the next field. */
export const fieldContinued = 0x80;

export function encodeFrame(stream: number, type: number, payload: Uint8Array = empty): Buffer {
  const bytes = roomFor(headerBytes + payload.length);
  bytes.writeUInt32LE(stream, 0);
  bytes.writeUInt16LE(payload.length, 4);
  bytes.writeUInt16LE(type, 6);
  bytes.set(payload, headerBytes);
  return bytes;
}

const smallFrame = 64;
const shared = { bytes: Buffer.allocUnsafeSlow(2048), at: 0 };

/**
 * Small frames share memory only with one another. Answers may lie for long before a guest that does not read them, and
 * in Node's pool each could keep 64 KiB alive.
 */
function roomFor(length: number): Buffer {
  if (length > smallFrame) return Buffer.allocUnsafe(length);
  if (shared.at + length > shared.bytes.length) {
    shared.bytes = Buffer.allocUnsafeSlow(shared.bytes.length);
    shared.at = 0;
  }
  shared.at += length;
  return shared.bytes.subarray(shared.at - length, shared.at);
}

export function u32(...values: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value >>> 0, index * 4);
  return bytes;
}

const empty = new Uint8Array(0);
