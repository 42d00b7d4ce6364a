import { ConnectionError, errorCodes } from './errors.ts';
import { flags, frameHeadBytes, frameTypes, largestFrame, preface } from './frames.ts';

/** Takes what a {@link FrameReader} reads; each may throw a {@link ConnectionError}. */
export interface FrameSink {
  /** A whole frame of any kind but DATA. The payload is only good until the call returns. */
  frame(type: number, flagBits: number, streamId: number, payload: Buffer): void;
  /**
   * A DATA frame begins.
   * @param length as flow control counts it, padding and all
   */
  dataBegins(streamId: number, length: number, endStream: boolean): void;
  /** A piece of its content, as soon as it is there. */
  data(piece: Buffer): void;
  dataEnds(): void;
}

/**
 * Finds the frames in the bytes of a client, however these are cut. What is in one piece is not copied, and DATA
 * frames are never gathered.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  /** A frame's head or payload that comes in pieces, as far as it has come; of the preface only how much. */
  #gathered: Buffer = nothing;
  #gatheredBytes = 0;
  #prefaced = false;
  /** A head has been read, and its payload has not. */
  #inFrame = false;
  #type = 0;
  #flags = 0;
  #streamId = 0;
  /** Of the payload, still to come. */
  #left = 0;
  /** The length of the padding is the next byte to come. */
  #awaitsPadding = false;
  #padding = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Nothing has begun that has not ended. */
  get atRest(): boolean {
    return this.#prefaced && !this.#inFrame && this.#gatheredBytes === 0;
  }

  /** @throws {ConnectionError} */
  read(chunk: Buffer): void {
    let at = 0;
    if (!this.#prefaced) at = this.#readPreface(chunk);
    while (at < chunk.length || (this.#inFrame && this.#left === 0)) {
      if (!this.#inFrame) at = this.#readHead(chunk, at);
      else if (this.#type === frameTypes.data) at = this.#readData(chunk, at);
      else at = this.#readPayload(chunk, at);
    }
  }

  #readPreface(chunk: Buffer): number {
    const wanted = Math.min(preface.length - this.#gatheredBytes, chunk.length);
    const from = this.#gatheredBytes;
    if (chunk.toString('latin1', 0, wanted) !== preface.slice(from, from + wanted)) {
      throw new ConnectionError(errorCodes.protocol, 'not the preface of HTTP/2');
    }
    this.#gatheredBytes += wanted;
    if (this.#gatheredBytes === preface.length) {
      this.#prefaced = true;
      this.#gatheredBytes = 0;
    }
    return wanted;
  }

  #readHead(chunk: Buffer, at: number): number {
    if (this.#gatheredBytes === 0 && chunk.length - at >= frameHeadBytes) {
      this.#begin(chunk, at);
      return at + frameHeadBytes;
    }
    const next = this.#gather(chunk, at, frameHeadBytes);
    if (this.#gatheredBytes === frameHeadBytes) this.#begin(this.#ungather(), 0);
    return next;
  }

  #begin(bytes: Buffer, at: number): void {
    const length = bytes.readUIntBE(at, 3);
    if (length > largestFrame) throw new ConnectionError(errorCodes.frameSize, 'a frame too large');
    this.#type = bytes[at + 3] ?? 0;
    this.#flags = bytes[at + 4] ?? 0;
    this.#streamId = bytes.readUInt32BE(at + 5) & 0x7fff_ffff;
    this.#left = length;
    this.#inFrame = true;
    if (this.#type !== frameTypes.data) return;
    this.#padding = 0;
    this.#awaitsPadding = (this.#flags & flags.padded) !== 0;
    if (this.#awaitsPadding && length === 0) {
      throw new ConnectionError(errorCodes.frameSize, 'no room for the length of the padding');
    }
    this.#sink.dataBegins(this.#streamId, length, (this.#flags & flags.endStream) !== 0);
  }

  #readData(chunk: Buffer, from: number): number {
    let at = from;
    if (this.#awaitsPadding) {
      this.#padding = chunk[at] ?? 0;
      this.#awaitsPadding = false;
      this.#left -= 1;
      at += 1;
      if (this.#padding > this.#left) {
        throw new ConnectionError(errorCodes.protocol, 'more padding than payload');
      }
    }
    const take = Math.min(this.#left, chunk.length - at);
    const content = Math.min(take, this.#left - this.#padding);
    this.#left -= take;
    if (this.#left < this.#padding) this.#padding = this.#left;
    if (content > 0) this.#sink.data(chunk.subarray(at, at + content));
    if (this.#left === 0) {
      this.#inFrame = false;
      this.#sink.dataEnds();
    }
    return at + take;
  }

  #readPayload(chunk: Buffer, at: number): number {
    const wanted = this.#left;
    if (this.#gatheredBytes === 0 && chunk.length - at >= wanted) {
      this.#end(chunk.subarray(at, at + wanted));
      return at + wanted;
    }
    const next = this.#gather(chunk, at, wanted);
    if (this.#gatheredBytes === wanted) this.#end(this.#ungather());
    return next;
  }

  #end(payload: Buffer): void {
    this.#inFrame = false;
    this.#left = 0;
    this.#sink.frame(this.#type, this.#flags, this.#streamId, payload);
  }

  /** Keeps what there is of something of `wanted` bytes. */
  #gather(chunk: Buffer, at: number, wanted: number): number {
    if (this.#gatheredBytes === 0) this.#gathered = Buffer.allocUnsafe(wanted);
    const end = Math.min(chunk.length, at + wanted - this.#gatheredBytes);
    chunk.copy(this.#gathered, this.#gatheredBytes, at, end);
    this.#gatheredBytes += end - at;
    return end;
  }

  #ungather(): Buffer {
    const gathered = this.#gathered;
    // A connection at rest keeps nothing.
    this.#gathered = nothing;
    this.#gatheredBytes = 0;
    return gathered;
  }
}

const nothing: Buffer = Buffer.alloc(0);
