import { GuestProtocolError } from './guest-agent.ts';
import { headerBytes, maximumPayload } from './wire.ts';

export type FrameHandler = (stream: number, type: number, payload: Buffer) => void;

/**
 * Cuts a byte stream into frames, whatever its chunks, one at a time. Payloads are views, valid until the handler
 * returns.
 */
export class FrameDecoder {
  readonly #onFrame: FrameHandler;
  #chunk: Buffer = nothing;
  #at = 0;
  /** The beginning of a frame whose rest has not come, in a place of its own: each byte is copied once. */
  #begun: Buffer = nothing;
  #held = 0;

  constructor(onFrame: FrameHandler) {
    this.#onFrame = onFrame;
  }

  /** Takes what came; {@link step} handles it. */
  push(chunk: Buffer): void {
    this.#chunk = this.#at === this.#chunk.length ? chunk : Buffer.concat([this.#unread(), chunk]);
    this.#at = 0;
  }

  /**
   * Handles one frame.
   * @returns its length, header included; 0 when no whole frame is there
   * @throws {GuestProtocolError} it is longer than any may be, or its header is malformed
   */
  step(): number {
    const setAside = this.#held > 0;
    const total = setAside ? this.#complete() : this.#inPlace();
    if (total === 0) return 0;
    const bytes = setAside ? this.#begun : this.#chunk;
    const from = setAside ? 0 : this.#at;
    if (setAside) this.#held = 0;
    else this.#at += total;
    this.#onFrame(
      bytes.readUInt32LE(from),
      bytes.readUInt8(from + 6),
      bytes.subarray(from + headerBytes, from + total),
    );
    return total;
  }

  /** Length of the frame at the front of the chunk; what is there of an incomplete one is set aside. */
  #inPlace(): number {
    const there = this.#chunk.length - this.#at;
    const total = there < headerBytes ? headerBytes : lengthOf(this.#chunk, this.#at);
    if (there >= total) return total;
    if (there > 0) this.#gather(there);
    else this.#release();
    return 0;
  }

  /** Length of the frame that was set aside, once its rest is there. */
  #complete(): number {
    if (!this.#gather(headerBytes)) return 0;
    const total = lengthOf(this.#begun, 0);
    return this.#gather(total) ? total : 0;
  }

  /** Adds to what is set aside until there are so many bytes of it. */
  #gather(wanted: number): boolean {
    if (this.#begun.length === 0) this.#begun = Buffer.allocUnsafeSlow(headerBytes + maximumPayload);
    const count = Math.min(Math.max(0, wanted - this.#held), this.#chunk.length - this.#at);
    this.#chunk.copy(this.#begun, this.#held, this.#at, this.#at + count);
    this.#at += count;
    this.#held += count;
    if (this.#at === this.#chunk.length) this.#release();
    return this.#held >= wanted;
  }

  #unread(): Buffer {
    return this.#chunk.subarray(this.#at);
  }

  #release(): void {
    this.#chunk = nothing;
    this.#at = 0;
  }
}

const nothing = Buffer.alloc(0);

/** @throws {GuestProtocolError} */
function lengthOf(bytes: Buffer, at: number): number {
  const length = bytes.readUInt16LE(at + 4);
  if (length > maximumPayload || bytes[at + 7] !== 0) throw new GuestProtocolError('malformed frame');
  return headerBytes + length;
}
