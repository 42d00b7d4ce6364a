import { crc32 } from 'node:zlib';

/** Content type of a stream of {@link encodeEvent}s. */
export const eventStreamType = 'application/vnd.amazon.eventstream';

const preludeBytes = 8;
const crcBytes = 4;
/** Type of a header's value: text with its length in two bytes before it. */
const stringHeader = 7;

/**
 * One event in the binary framing of AWS event streams: lengths and their checksum, headers, the JSON document,
 * and the checksum of it all.
 */
export function encodeEvent(name: string, document: object): Buffer {
  const headers = Buffer.concat([
    header(':message-type', 'event'),
    header(':event-type', name),
    header(':content-type', 'application/json'),
  ]);
  const body = Buffer.from(JSON.stringify(document));
  const message = Buffer.alloc(preludeBytes + crcBytes + headers.length + body.length + crcBytes);
  message.writeUInt32BE(message.length, 0);
  message.writeUInt32BE(headers.length, 4);
  message.writeUInt32BE(crc32(message.subarray(0, preludeBytes)), preludeBytes);
  headers.copy(message, preludeBytes + crcBytes);
  body.copy(message, preludeBytes + crcBytes + headers.length);
  const end = message.length - crcBytes;
  message.writeUInt32BE(crc32(message.subarray(0, end)), end);
  return message;
}

function header(name: string, value: string): Buffer {
  const bytes = Buffer.alloc(1 + name.length + 1 + 2 + value.length);
  bytes.writeUInt8(name.length, 0);
  bytes.write(name, 1, 'latin1');
  bytes.writeUInt8(stringHeader, 1 + name.length);
  bytes.writeUInt16BE(value.length, 2 + name.length);
  bytes.write(value, 4 + name.length, 'latin1');
  return bytes;
}
