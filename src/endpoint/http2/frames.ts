import type { ErrorCode } from './errors.ts';

/** Kinds of frames (RFC 9113, section 6). */
export const frameTypes = {
  data: 0x0,
  headers: 0x1,
  priority: 0x2,
  rstStream: 0x3,
  settings: 0x4,
  pushPromise: 0x5,
  ping: 0x6,
  goaway: 0x7,
  windowUpdate: 0x8,
  continuation: 0x9,
} as const;

export const flags = {
  /** Of SETTINGS and PING. */
  ack: 0x1,
  endStream: 0x1,
  endHeaders: 0x4,
  padded: 0x8,
  priority: 0x20,
} as const;

/** Identifiers of settings (RFC 9113, section 6.5.2; RFC 8441). */
export const settingIds = {
  headerTableSize: 0x1,
  enablePush: 0x2,
  maxConcurrentStreams: 0x3,
  initialWindowSize: 0x4,
  maxFrameSize: 0x5,
  maxHeaderListSize: 0x6,
  enableConnectProtocol: 0x8,
} as const;

export const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
export const frameHeadBytes = 9;
/** Payload that either side takes unless it says otherwise. We do not, and send no more either. */
export const largestFrame = 16_384;
export const initialWindow = 65_535;
export const largestWindow = 2 ** 31 - 1;

/** Frames are made as texts in Latin-1, which an outbox gathers at the least cost. */
export function frameHead(length: number, type: number, flagBits: number, streamId: number): string {
  return String.fromCharCode(
    length >>> 16,
    (length >>> 8) & 0xff,
    length & 0xff,
    type,
    flagBits,
    streamId >>> 24,
    (streamId >>> 16) & 0xff,
    (streamId >>> 8) & 0xff,
    streamId & 0xff,
  );
}

/** A header block, in as many frames as it takes. */
export function headersFrames(streamId: number, block: string, endStream: boolean): string {
  const end = endStream ? flags.endStream : 0;
  if (block.length <= largestFrame) {
    return frameHead(block.length, frameTypes.headers, end | flags.endHeaders, streamId) + block;
  }
  let text = frameHead(largestFrame, frameTypes.headers, end, streamId) + block.slice(0, largestFrame);
  for (let at = largestFrame; at < block.length; at += largestFrame) {
    const piece = block.slice(at, at + largestFrame);
    const last = at + largestFrame >= block.length ? flags.endHeaders : 0;
    text += frameHead(piece.length, frameTypes.continuation, last, streamId) + piece;
  }
  return text;
}

export function settingsFrame(settings: ReadonlyArray<readonly [id: number, value: number]>): string {
  const payload = settings.map(([id, value]) => String.fromCharCode(id >>> 8, id & 0xff) + word(value));
  return frameHead(payload.length * 6, frameTypes.settings, 0, 0) + payload.join('');
}

export const settingsAck = frameHead(0, frameTypes.settings, flags.ack, 0);

export function pingAck(payload: Buffer): string {
  return frameHead(8, frameTypes.ping, flags.ack, 0) + payload.toString('latin1');
}

export function rstStreamFrame(streamId: number, code: ErrorCode): string {
  return frameHead(4, frameTypes.rstStream, 0, streamId) + word(code);
}

export function goawayFrame(lastStreamId: number, code: ErrorCode): string {
  return frameHead(8, frameTypes.goaway, 0, 0) + word(lastStreamId) + word(code);
}

export function windowUpdateFrame(streamId: number, increment: number): string {
  return frameHead(4, frameTypes.windowUpdate, 0, streamId) + word(increment);
}

function word(value: number): string {
  return String.fromCharCode(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}
