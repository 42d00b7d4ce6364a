import { grantsPort, type PortGrant } from '../model/port-grant.ts';

/** What a token is good for: ports of the microVM, or its shell. */
export type TokenGrant = readonly PortGrant[] | 'shell';

/** The content of a token. */
export interface TokenClaims {
  readonly microvmId: string;
  readonly grant: TokenGrant;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** The content cannot be put into a token, or bytes are not the content of one. */
export class TokenPayloadError extends Error {
  override readonly name = 'TokenPayloadError';
}

/**
 * Sizes every token is padded to, so that its length says nothing about what it holds (spec section 5.1: 823
 * characters for lists of ports, 767 for all ports; the length of a shell token is unrecorded).
 */
const listBytes = 511;
const plainBytes = 469;
/** Keeps the whole token within the 8000 characters the model allows. */
const maximumBytes = 5800;

const version = 1;
const kinds = { list: 0, allPorts: 1, shell: 2 } as const;

/**
 * Layout, big-endian: version u8, kind u8, expiry in ms u48, length u8 and text of the microVM's id, and for
 * lists the number of ranges u16 with (first, last) u16 each; then zeros.
 * @throws {TokenPayloadError}
 */
export function encodePayload(claims: TokenClaims): Buffer {
  const id = Buffer.from(claims.microvmId, 'utf8');
  if (id.length === 0 || id.length > 255) throw new TokenPayloadError('the id of the microVM is too long');
  const kind = kindOf(claims.grant);
  const ranges = kind === kinds.list && claims.grant !== 'shell' ? mergedRanges(claims.grant) : [];
  const needed = 9 + id.length + 2 + ranges.length * 4;
  if (needed > maximumBytes) throw new TokenPayloadError('too many separate port ranges for one token');
  const bytes = Buffer.alloc(Math.max(needed, kind === kinds.list ? listBytes : plainBytes));
  bytes.writeUInt8(version, 0);
  bytes.writeUInt8(kind, 1);
  bytes.writeUIntBE(claims.expiresAt, 2, 6);
  bytes.writeUInt8(id.length, 8);
  id.copy(bytes, 9);
  let at = bytes.writeUInt16BE(ranges.length, 9 + id.length);
  for (const { startPort, endPort } of ranges) {
    at = bytes.writeUInt16BE(startPort, at);
    at = bytes.writeUInt16BE(endPort, at);
  }
  return bytes;
}

/** @throws {TokenPayloadError} */
export function decodePayload(payload: Uint8Array): TokenClaims {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  try {
    if (bytes.readUInt8(0) !== version) throw new TokenPayloadError('unknown version');
    const kind = bytes.readUInt8(1);
    const idEnd = 9 + bytes.readUInt8(8);
    const count = bytes.readUInt16BE(idEnd);
    return {
      microvmId: bytes.toString('utf8', 9, idEnd),
      expiresAt: bytes.readUIntBE(2, 6),
      grant: grantFrom(kind, bytes.subarray(idEnd + 2), count),
    };
  } catch (error) {
    if (error instanceof RangeError) throw new TokenPayloadError('truncated');
    throw error;
  }
}

/** Whether the token may be used for a TCP port of its microVM. */
export function allowsPort(claims: TokenClaims, port: number): boolean {
  return claims.grant !== 'shell' && grantsPort(claims.grant, port);
}

function kindOf(grant: TokenGrant): number {
  if (grant === 'shell') return kinds.shell;
  return grant.some((entry) => 'allPorts' in entry) ? kinds.allPorts : kinds.list;
}

function grantFrom(kind: number, bytes: Buffer, count: number): TokenGrant {
  switch (kind) {
    case kinds.shell:
      return 'shell';
    case kinds.allPorts:
      return [{ allPorts: {} }];
    case kinds.list:
      return Array.from({ length: count }, (_, index) => ({
        range: { startPort: bytes.readUInt16BE(index * 4), endPort: bytes.readUInt16BE(index * 4 + 2) },
      }));
    default:
      throw new TokenPayloadError('unknown kind');
  }
}

interface PortRange {
  readonly startPort: number;
  readonly endPort: number;
}

/** Overlapping and adjacent ranges become one, so that long lists stay within the common length. */
function mergedRanges(grants: readonly PortGrant[]): readonly PortRange[] {
  const sorted = grants
    .flatMap((grant): PortRange[] => {
      if ('port' in grant) return [{ startPort: grant.port, endPort: grant.port }];
      return 'range' in grant ? [grant.range] : [];
    })
    .filter((range) => range.startPort <= range.endPort)
    .toSorted((a, b) => a.startPort - b.startPort);
  const merged: PortRange[] = [];
  for (const range of sorted) {
    const last = merged.at(-1);
    if (last === undefined || range.startPort > last.endPort + 1) merged.push(range);
    else merged[merged.length - 1] = { ...last, endPort: Math.max(last.endPort, range.endPort) };
  }
  return merged;
}
