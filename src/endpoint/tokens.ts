import { hash } from 'node:crypto';
import { CompactEncrypt, compactDecrypt, decodeProtectedHeader } from 'jose';
import { validation } from '../errors.ts';
import type { Clock } from '../model/clock.ts';
import { Lru } from './lru.ts';
import { openTokenKeys } from './token-keys.ts';
import {
  decodePayload,
  encodePayload,
  type TokenClaims,
  type TokenGrant,
  TokenPayloadError,
} from './token-payload.ts';

/**
 * `malformed` is not a token at all; `invalid` is one that we did not make, that was tampered with, revoked or
 * has expired. `tokenId` tells tokens apart without revealing them.
 */
export type Verification = { readonly status: 'malformed' | 'invalid' } | ValidToken;

export interface ValidToken {
  readonly status: 'valid';
  readonly claims: TokenClaims;
  readonly tokenId: string;
}

/** What is kept of the tokens that came over one client connection. */
export class TokenMemory {
  last: { readonly token: string; readonly verification: ValidToken; readonly rotation: number } | undefined;
}

/** Endpoint tokens (spec section 5.1): opaque to clients, compact JWE, `dir` with `A256GCM`. */
export interface Tokens {
  /**
   * @param minutes until the token expires; the caller has checked the limit
   * @throws {ServiceError} ValidationException: the grant lists too many separate ranges (unrecorded)
   */
  mint(microvmId: string, grant: TokenGrant, minutes: number): Promise<string>;
  /** @param memory remembers a valid token for {@link recall} */
  verify(token: string, memory?: TokenMemory): Promise<Verification>;
  /**
   * The verification of the token that its client sent last, if that is still good. Cheaper than looking the
   * token up, which takes a digest; and one client's memory tells nothing about the tokens of another.
   */
  recall(token: string, memory: TokenMemory): ValidToken | undefined;
  /** New tokens get a new key. With `revoke` every token made so far stops working at once. */
  rotateKey(options: { readonly revoke: boolean }): Promise<void>;
}

export interface TokensOptions {
  /** Where the key file is kept. */
  readonly directory: string;
  readonly clock: Pick<Clock, 'now'>;
  /** Verified tokens remembered, so that not every request costs a decryption. */
  readonly cacheSize?: number;
}

/** Longest `X-aws-proxy-auth` value of the model. */
const maximumLength = 8000;
const compactJwe = /^[\w-]+\.[\w-]*\.[\w-]+\.[\w-]+\.[\w-]+$/;

export async function openTokens(options: TokensOptions): Promise<Tokens> {
  const { clock } = options;
  const keys = await openTokenKeys(options.directory, clock);
  // Keyed by digest: tokens themselves are not kept, and looking one up does not compare secrets.
  const cache = new Lru<TokenClaims>(options.cacheSize ?? 4096);
  /** Tokens being decrypted: who sends the same one meanwhile waits for it, and so keeps the order of arrival. */
  const underWay = new Map<string, Promise<Verification>>();
  /** Rotations of the key so far. */
  let rotation = 0;

  return {
    async mint(microvmId, grant, minutes) {
      const { kid, key } = keys.current();
      const payload = payloadOf({ microvmId, grant, expiresAt: clock.now() + minutes * 60_000 });
      return await new CompactEncrypt(payload)
        .setProtectedHeader({ kid, alg: 'dir', enc: 'A256GCM' })
        .encrypt(key);
    },

    recall(token, { last }) {
      if (last === undefined || last.token !== token || last.rotation !== rotation) return undefined;
      return last.verification.claims.expiresAt > clock.now() ? last.verification : undefined;
    },

    async verify(token, memory = new TokenMemory()) {
      const verification = await verify(token);
      if (verification.status === 'valid') memory.last = { token, verification, rotation };
      return verification;
    },

    async rotateKey(options) {
      await keys.rotate(options);
      cache.clear();
      rotation += 1;
    },
  };

  async function verify(token: string): Promise<Verification> {
    if (token.length > maximumLength) return { status: 'malformed' };
    const tokenId = hash('sha256', token, 'base64');
    const known = cache.get(tokenId);
    if (known !== undefined) {
      if (known.expiresAt > clock.now()) return { status: 'valid', claims: known, tokenId };
      cache.delete(tokenId);
      return { status: 'invalid' };
    }
    const begun = underWay.get(tokenId) ?? examine(token, tokenId);
    underWay.set(tokenId, begun);
    try {
      return await begun;
    } finally {
      if (underWay.get(tokenId) === begun) underWay.delete(tokenId);
    }
  }

  async function examine(token: string, tokenId: string): Promise<Verification> {
    const kid = keyIdOf(token);
    if (kid === undefined) return { status: 'malformed' };
    const claims = token.split('.').every(isCanonical) ? await decrypt(token, kid) : undefined;
    if (claims === undefined || claims.expiresAt <= clock.now()) return { status: 'invalid' };
    // A rotation may have happened while the token was being decrypted.
    if (keys.find(kid) === undefined) return { status: 'invalid' };
    cache.set(tokenId, claims);
    return { status: 'valid', claims, tokenId };
  }

  async function decrypt(token: string, kid: string): Promise<TokenClaims | undefined> {
    const found = keys.find(kid);
    if (found === undefined) return undefined;
    try {
      const { plaintext } = await compactDecrypt(token, found.key, {
        keyManagementAlgorithms: ['dir'],
        contentEncryptionAlgorithms: ['A256GCM'],
      });
      return decodePayload(plaintext);
    } catch {
      return undefined;
    }
  }
}

function payloadOf(claims: TokenClaims): Uint8Array {
  try {
    return encodePayload(claims);
  } catch (error) {
    if (error instanceof TokenPayloadError) throw validation(`Invalid allowedPorts: ${error.message}`);
    throw error;
  }
}

/** One token has one spelling: the unused bits at the end of a part could otherwise be anything. */
function isCanonical(part: string): boolean {
  return Buffer.from(part, 'base64url').toString('base64url') === part;
}

/** The key id in the token's header, empty when it names none; undefined when this is no JWE. */
function keyIdOf(token: string): string | undefined {
  if (!compactJwe.test(token)) return undefined;
  try {
    const header = decodeProtectedHeader(token);
    if (typeof header.alg !== 'string' || typeof header.enc !== 'string') return undefined;
    return typeof header.kid === 'string' ? header.kid : '';
  } catch {
    return undefined;
  }
}
