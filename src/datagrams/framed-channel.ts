import type { Duplex } from 'node:stream';
import { type DatagramChannel, type DatagramListener, longestDatagram } from '../model/datagrams.ts';

/** Bytes that may wait in the stream before datagrams are dropped instead. */
const waitingBytes = 1024 * 1024;
const lengthBytes = 2;

/**
 * Datagrams over a byte stream, each behind its length (16 bits, big-endian). The stream ends with the channel, and
 * with a length that no datagram has.
 */
export function framedChannel(stream: Duplex, onDatagram: DatagramListener): DatagramChannel {
  const { promise, resolve } = Promise.withResolvers<void>();
  let rest: Buffer = Buffer.alloc(0);
  let over = false;

  function end(): void {
    over = true;
    stream.destroy();
    resolve();
  }

  stream.on('data', (chunk: Buffer) => {
    let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (!over && bytes.length >= lengthBytes) {
      const length = bytes.readUInt16BE(0);
      if (length > longestDatagram) return end();
      if (bytes.length < lengthBytes + length) break;
      onDatagram(bytes.subarray(lengthBytes, lengthBytes + length));
      bytes = bytes.subarray(lengthBytes + length);
    }
    rest = bytes.length === 0 ? bytes : Buffer.from(bytes);
  });
  stream.on('error', end);
  stream.on('end', end);
  stream.on('close', end);
  return {
    closed: promise,
    close: end,
    send(datagram) {
      if (over || datagram.length > longestDatagram || stream.writableLength > waitingBytes) return false;
      const length = Buffer.allocUnsafe(lengthBytes);
      length.writeUInt16BE(datagram.length);
      stream.cork();
      stream.write(length);
      stream.write(datagram);
      stream.uncork();
      return true;
    },
  };
}
