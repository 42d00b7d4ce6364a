import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** The checksums S3 clients send along with a body. */
export const checksumAlgorithms = ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'] as const;
export type ChecksumAlgorithm = (typeof checksumAlgorithms)[number];

export function isChecksumAlgorithm(name: string): name is ChecksumAlgorithm {
  return (checksumAlgorithms as readonly string[]).includes(name);
}

export interface Checksum {
  update(bytes: Uint8Array): void;
  /** Big-endian bytes, as they are sent in base64. */
  digest(): Buffer;
}

export function createChecksum(algorithm: ChecksumAlgorithm): Checksum {
  switch (algorithm) {
    case 'sha1':
    case 'sha256': {
      const hash = createHash(algorithm);
      return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest() };
    }
    case 'crc32':
      return crc(0, (bytes, value) => crc32(bytes, value));
    case 'crc32c':
      return crc(0, crc32c);
    case 'crc64nvme':
      return createCrc64();
  }
}

function crc(initial: number, step: (bytes: Uint8Array, value: number) => number): Checksum {
  let value = initial;
  return {
    update(bytes) {
      value = step(bytes, value);
    },
    digest() {
      const out = Buffer.alloc(4);
      out.writeUInt32BE(value >>> 0);
      return out;
    },
  };
}

const castagnoli = crc32cTable();

function crc32cTable(): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, index) => {
    let value = index;
    for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
    return value >>> 0;
  });
}

function crc32c(bytes: Uint8Array, initial: number): number {
  let value = ~initial;
  for (let at = 0; at < bytes.length; at += 1) {
    value = (castagnoli[(value ^ (bytes[at] ?? 0)) & 0xff] ?? 0) ^ (value >>> 8);
  }
  return ~value >>> 0;
}

/** CRC-64/NVME (reflected polynomial 0x9A6C9329AC4BC9B5), in two halves because numbers hold 53 bits. */
const nvmeHigh = 0x9a6c9329;
const nvmeLow = 0xac4bc9b5;
const [tableHigh, tableLow] = crc64Tables();

function crc64Tables(): readonly [Int32Array, Int32Array] {
  const high = new Int32Array(256);
  const low = new Int32Array(256);
  for (let index = 0; index < 256; index += 1) {
    let top = 0;
    let bottom = index;
    for (let bit = 0; bit < 8; bit += 1) {
      const carry = bottom & 1;
      bottom = ((bottom >>> 1) | ((top & 1) << 31)) >>> 0;
      top >>>= 1;
      if (carry === 1) {
        top = (top ^ nvmeHigh) >>> 0;
        bottom = (bottom ^ nvmeLow) >>> 0;
      }
    }
    high[index] = top;
    low[index] = bottom;
  }
  return [high, low];
}

function createCrc64(): Checksum {
  const state = Int32Array.of(-1, -1);
  return {
    update(bytes) {
      // Signed 32-bit values in local variables: anything else is boxed, and ten times slower.
      let [top = 0, bottom = 0] = state;
      for (let at = 0; at < bytes.length; at += 1) {
        const index = (bottom ^ (bytes[at] ?? 0)) & 0xff;
        bottom = ((bottom >>> 8) | (top << 24)) ^ (tableLow[index] ?? 0);
        top = (top >>> 8) ^ (tableHigh[index] ?? 0);
      }
      state.set([top, bottom]);
    },
    digest() {
      const [top = 0, bottom = 0] = state;
      const out = Buffer.alloc(8);
      out.writeInt32BE(~top, 0);
      out.writeInt32BE(~bottom, 4);
      return out;
    },
  };
}
