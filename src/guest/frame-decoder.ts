import { GuestProtocolError } from './guest-agent.ts';
import { headerBytes, maximumPayload } from './wire.ts';

export type FrameHandler = (stream: number, type: number, payload: Buffer) => void;

/** Cuts a byte stream into frames, whatever its chunks. Payloads are views, valid until the handler returns. */
export class FrameDecoder {
  readonly #onFrame: FrameHandler;
  #rest: Buffer = Buffer.alloc(0);

  constructor(onFrame: FrameHandler) {
    this.#onFrame = onFrame;
  }

  /** @throws {GuestProtocolError} a frame is longer than any may be, or its header is malformed */
  push(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= headerBytes) {
      const length = bytes.readUInt16LE(4);
      if (length > maximumPayload || bytes[7] !== 0) throw new GuestProtocolError('malformed frame');
      if (bytes.length < headerBytes + length) break;
      this.#onFrame(
        bytes.readUInt32LE(0),
        bytes.readUInt8(6),
        bytes.subarray(headerBytes, headerBytes + length),
      );
      bytes = bytes.subarray(headerBytes + length);
    }
    // A copy, so that a small rest does not keep a large chunk alive.
    this.#rest = bytes.length === 0 ? bytes : Buffer.from(bytes);
  }
}
