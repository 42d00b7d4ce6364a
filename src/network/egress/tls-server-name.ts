/** The server name in the first message of a TLS client (RFC 8446, RFC 6066), as far as has come of it. */
export type ServerNameReading =
  | { readonly kind: 'incomplete' }
  /** Not TLS, or nothing that a server would take for it. */
  | { readonly kind: 'other' }
  | { readonly kind: 'tls'; readonly name: string | undefined };

const handshakeRecord = 22;
const clientHello = 1;
const longestRecord = 2 ** 14;
/** Longer than any sensible first message, with keys of post-quantum size. */
const longestHello = 32 * 1024;
const serverNameExtension = 0;
const hostNameType = 0;
const recordHeader = 5;
const handshakeHeader = 4;

const incomplete: ServerNameReading = { kind: 'incomplete' };
const other: ServerNameReading = { kind: 'other' };
/** TLS, and says nothing that could be judged. */
const nameless: ServerNameReading = { kind: 'tls', name: undefined };

/** @param received all that the client has sent so far */
export function readServerName(received: Buffer): ServerNameReading {
  if (received.length === 0) return incomplete;
  if (received[0] !== handshakeRecord) return other;
  if (received.length < 3) return incomplete;
  if (received[1] !== 3) return other;
  const message = joinRecords(received);
  if (message === undefined) return nameless;
  if (message.length >= 1 && message[0] !== clientHello) return nameless;
  if (message.length < handshakeHeader) return incomplete;
  const end = handshakeHeader + message.readUIntBE(1, 3);
  if (end > longestHello) return nameless;
  if (message.length < end) return incomplete;
  return { kind: 'tls', name: readHello(message.subarray(handshakeHeader, end)) };
}

/** What handshake records carry, the last as far as it has come; undefined where the first is malformed. */
function joinRecords(received: Buffer): Buffer | undefined {
  const fragments: Buffer[] = [];
  for (let at = 0; at + recordHeader <= received.length; ) {
    const length = received.readUInt16BE(at + 3);
    if (received[at] !== handshakeRecord || length === 0 || length > longestRecord) {
      return fragments.length === 0 ? undefined : Buffer.concat(fragments);
    }
    const start = at + recordHeader;
    fragments.push(received.subarray(start, start + length));
    at = start + length;
  }
  return Buffer.concat(fragments);
}

/** Reads lengths and what they announce; everything undefined once a length leads out of the message. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  take(length: number): Buffer | undefined {
    if (length > this.left) return undefined;
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** A vector whose length stands before it, in so many bytes. */
  vector(lengthBytes: number): Buffer | undefined {
    const length = this.take(lengthBytes)?.readUIntBE(0, lengthBytes);
    return length === undefined ? undefined : this.take(length);
  }
}

const versionAndRandom = 34;

function readHello(body: Buffer): string | undefined {
  const hello = new Reader(body);
  hello.take(versionAndRandom);
  hello.vector(1);
  hello.vector(2);
  hello.vector(1);
  const extensions = new Reader(hello.vector(2) ?? Buffer.alloc(0));
  while (extensions.left > 0) {
    const type = extensions.take(2)?.readUInt16BE(0);
    const data = extensions.vector(2);
    if (data === undefined) return undefined;
    if (type === serverNameExtension) return readNames(data);
  }
  return undefined;
}

function readNames(data: Buffer): string | undefined {
  const names = new Reader(new Reader(data).vector(2) ?? Buffer.alloc(0));
  const type = names.take(1)?.[0];
  const name = names.vector(2);
  // One name only: which of several a server goes by cannot be known.
  if (type !== hostNameType || name === undefined || names.left > 0) return undefined;
  const text = name.toString('latin1').toLowerCase().replace(/\.$/, '');
  return /^[a-z0-9_.-]+$/.test(text) ? text : undefined;
}
