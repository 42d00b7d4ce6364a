/** The little that has to be known of a DNS message to pass it on (RFC 1035, RFC 6891). */

export const headerBytes = 12;
const responseFlag = 0x80;
const truncatedFlag = 0x02;
const opcodeMask = 0x78;
const recursionAvailableFlag = 0x80;
/** Longest answer to an asker that says nothing of what it takes. */
const plainLimit = 512;
const optType = 41;
/** IXFR and AXFR. */
const transferTypes: ReadonlySet<number> = new Set([251, 252]);

export const responseCode = { serverFailure: 2, refused: 5 } as const;

/** Whether a message asks something, so that it has to be answered. */
export function isRequest(message: Buffer): boolean {
  return message.length > headerBytes && (message.readUInt8(2) & responseFlag) === 0;
}

/**
 * Whether a request asks one question about a name. Name servers take an UPDATE, a NOTIFY or a zone transfer from
 * addresses they trust, and the host's may be one, so those of guests are not passed on.
 */
export function isQuery(request: Buffer): boolean {
  const end = questionEnd(request);
  if (end === undefined || (request.readUInt8(2) & opcodeMask) !== 0) return false;
  // Records before the additional ones are what a transfer or an update has, and no question.
  if (request.readUInt32BE(6) !== 0) return false;
  return !transferTypes.has(request.readUInt16BE(end - 4));
}

/** An answer without records, as a name server gives that cannot or will not say. */
export function failure(query: Buffer, code: number): Buffer {
  const answer = withoutRecords(query, questionEnd(query));
  answer.writeUInt8(answer.readUInt8(2) | responseFlag, 2);
  answer.writeUInt8(recursionAvailableFlag | code, 3);
  return answer;
}

/** The answer if the asker takes it in one datagram, else the notice that it has to ask over TCP. */
export function fitDatagram(query: Buffer, answer: Buffer): Buffer {
  if (answer.length <= datagramLimit(query)) return answer;
  const cut = withoutRecords(answer, questionEnd(answer));
  cut.writeUInt8(cut.readUInt8(2) | truncatedFlag, 2);
  return cut;
}

/** Header and question of a message. */
function withoutRecords(message: Buffer, end: number | undefined): Buffer {
  const copy = Buffer.from(message.subarray(0, end ?? headerBytes));
  copy.writeUInt16BE(end === undefined ? 0 : 1, 4);
  copy.fill(0, 6, headerBytes);
  return copy;
}

/** Where the only question ends; undefined unless there is exactly one well-formed question. */
export function questionEnd(message: Buffer): number | undefined {
  if (message.readUInt16BE(4) !== 1) return undefined;
  let at = headerBytes;
  for (let length = message[at] ?? 0; length !== 0; length = message[at] ?? 0) {
    if (length > 63) return undefined;
    at += 1 + length;
  }
  const end = at + 5;
  return end <= message.length ? end : undefined;
}

/** What the EDNS record of a query, its first one, allows. */
function datagramLimit(query: Buffer): number {
  const at = questionEnd(query);
  const recordCount = query.readUInt16BE(10);
  if (at === undefined || recordCount === 0 || at + 5 > query.length) return plainLimit;
  const isOpt = query.readUInt8(at) === 0 && query.readUInt16BE(at + 1) === optType;
  return isOpt ? Math.max(plainLimit, query.readUInt16BE(at + 3)) : plainLimit;
}
