import { randomBytes } from 'node:crypto';

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface FrameParts {
  readonly opcode: number;
  readonly payload?: Buffer | string;
  /** Default true. */
  readonly fin?: boolean;
  /** The three reserved bits, 4 for the first. */
  readonly reserved?: number;
  /** Default true, as a client has to. */
  readonly masked?: boolean;
  /** Width of the length in bytes; default the shortest that holds it. */
  readonly lengthBytes?: 1 | 2 | 8;
}

/** One frame of RFC 6455, section 5.2, well-formed or not. */
export function webSocketFrame(parts: FrameParts): Buffer {
  const { opcode, fin = true, reserved = 0, masked = true } = parts;
  const payload = Buffer.from(parts.payload ?? '');
  const first = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  const maskBit = masked ? 0x80 : 0;
  const length = encodeLength(payload.length, parts.lengthBytes);
  length[0] = (length[0] ?? 0) | maskBit;
  if (!masked) return Buffer.concat([Buffer.of(first), length, payload]);
  const mask = randomBytes(4);
  const scrambled = payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0));
  return Buffer.concat([Buffer.of(first), length, mask, scrambled]);
}

function encodeLength(length: number, width: 1 | 2 | 8 | undefined): Buffer {
  const bytes = width ?? (length < 126 ? 1 : length < 65_536 ? 2 : 8);
  if (bytes === 1) return Buffer.of(length);
  const encoded = Buffer.alloc(1 + bytes, 0);
  encoded[0] = bytes === 2 ? 126 : 127;
  if (bytes === 2) encoded.writeUInt16BE(length, 1);
  else encoded.writeBigUInt64BE(BigInt(length), 1);
  return encoded;
}

/** A close frame with a code and the bytes of a reason. */
export function closeFrame(code: number, reason: Buffer | string = '', masked = true): Buffer {
  const payload = Buffer.concat([Buffer.of(code >> 8, code & 0xff), Buffer.from(reason)]);
  return webSocketFrame({ opcode: opcodes.close, payload, masked });
}

/** Reads unmasked frames from a stream, one after the other. */
export class FrameReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(stream: AsyncIterable<Buffer>) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  /** @throws {Error} the stream has ended */
  async next(): Promise<{ readonly opcode: number; readonly payload: Buffer }> {
    const [first = 0, length = 0] = await this.#take(2);
    if (length > 125) throw new Error('a frame longer than this reader reads');
    return { opcode: first & 0x0f, payload: await this.#take(length) };
  }

  async #take(size: number): Promise<Buffer> {
    while (this.#bytes.length < size) {
      const { done, value } = await this.#chunks.next();
      if (done === true) throw new Error('the stream has ended');
      this.#bytes = Buffer.concat([this.#bytes, value]);
    }
    const taken = this.#bytes.subarray(0, size);
    this.#bytes = this.#bytes.subarray(size);
    return taken;
  }
}
