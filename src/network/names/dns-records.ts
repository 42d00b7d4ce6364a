import { headerBytes, questionEnd } from './dns-message.ts';

/** What a policy has to know of questions and answers (RFC 1035). Everything else passes unread. */

const aType = 1;
const cnameType = 5;
const inClass = 1;
const plainLabel = /^[a-z0-9_-]+$/;
/** More than a sensible answer has; a longer one is read so far. */
const mostRecords = 512;
const longestChain = 16;
const longestName = 253;

export interface AddressAnswer {
  readonly address: string;
  readonly ttlSeconds: number;
}

export interface ReadAnswer {
  /** Names that the asked one is another name for, one after the other. */
  readonly aliases: readonly string[];
  /** IPv4 addresses of the last of them. */
  readonly addresses: readonly AddressAnswer[];
}

/**
 * The one name that a query asks for: lower case, without the dot at the end, empty for the root.
 * @returns undefined for a message that is no plain question for one plainly written name
 */
export function askedName(query: Buffer): string | undefined {
  const isStandard = ((query[2] ?? 0) & 0x78) === 0;
  if (!isStandard || questionEnd(query) === undefined) return undefined;
  return readName(query, headerBytes)?.name;
}

/** Follows an answer from the name that was asked for to its addresses; what it does not lead to is left out. */
export function readAnswer(answer: Buffer, asked: string): ReadAnswer {
  const records = [...readRecords(answer)];
  const aliases: string[] = [];
  let name = asked;
  while (aliases.length < longestChain) {
    const alias = records.find((record) => record.type === cnameType && record.owner === name);
    const target = alias === undefined ? undefined : readName(answer, alias.dataAt)?.name;
    if (target === undefined || target === asked || aliases.includes(target)) break;
    aliases.push(target);
    name = target;
  }
  const addresses = records
    .filter((record) => record.type === aType && record.owner === name && record.dataLength === 4)
    .map((record) => ({
      address: answer.subarray(record.dataAt, record.dataAt + 4).join('.'),
      ttlSeconds: record.ttlSeconds,
    }));
  return { aliases, addresses };
}

interface DnsRecord {
  readonly owner: string;
  readonly type: number;
  readonly ttlSeconds: number;
  readonly dataAt: number;
  readonly dataLength: number;
}

/** Records of the answer section, up to the first malformed one. */
function* readRecords(message: Buffer): Generator<DnsRecord> {
  let at = questionEnd(message);
  if (at === undefined) return;
  const count = Math.min(message.readUInt16BE(6), mostRecords);
  for (let index = 0; index < count; index += 1) {
    const owner = readName(message, at);
    if (owner === undefined || owner.end + 10 > message.length) return;
    const head = owner.end;
    const dataAt = head + 10;
    const dataLength = message.readUInt16BE(head + 8);
    if (dataAt + dataLength > message.length) return;
    if (message.readUInt16BE(head + 2) === inClass) {
      const type = message.readUInt16BE(head);
      // The highest bit is not to be taken for a length of time (RFC 2181).
      const ttl = message.readInt32BE(head + 4);
      yield { owner: owner.name, type, ttlSeconds: Math.max(0, ttl), dataAt, dataLength };
    }
    at = dataAt + dataLength;
  }
}

/** A name with compression; undefined where it is malformed or has labels that are not plainly written. */
function readName(
  message: Buffer,
  start: number,
): { readonly name: string; readonly end: number } | undefined {
  const labels: string[] = [];
  let end: number | undefined;
  let characters = 0;
  for (let at = start; ; ) {
    const length = message[at];
    if (length === undefined) return undefined;
    if (length === 0) return { name: labels.join('.'), end: end ?? at + 1 };
    if (length >= 0xc0) {
      const low = message[at + 1];
      const target = low === undefined ? at : ((length & 0x3f) << 8) | low;
      // Only backwards, so that it comes to an end.
      if (target >= at) return undefined;
      end ??= at + 2;
      at = target;
      continue;
    }
    const text = message.toString('latin1', at + 1, at + 1 + length).toLowerCase();
    characters += length + 1;
    if (length > 63 || text.length < length || characters > longestName + 1 || !plainLabel.test(text)) {
      return undefined;
    }
    labels.push(text);
    at += 1 + length;
  }
}
