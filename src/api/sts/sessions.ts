import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { RolePolicyService } from '../role-policy-service.ts';
import type { Credential, CredentialSource, Principal, SessionOrigin } from '../sigv4/credentials.ts';

const cipher = 'aes-256-gcm';
const ivLength = 12;
const tagLength = 16;
const longestToken = 4096;
const keyAlphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

export interface SessionCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

/** Temporary credentials that are not stored anywhere: their token holds the secret, sealed. */
export interface Sessions {
  issue(principal: Principal, origin: SessionOrigin, expiresAt: number): SessionCredentials;
  /** Knows the issued credentials, and all that `source` knows. */
  extend(source: CredentialSource, roles: Pick<RolePolicyService, 'permissionsOf'>): CredentialSource;
}

interface SealedSession extends SessionOrigin {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly principal: Principal;
  readonly expiresAt: number;
}

/** @param secret 32 secret bytes or more; the sealing key is derived from them */
export function createSessions(secret: Buffer): Sessions {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'session credentials', 32));
  return {
    issue(principal, { issuer, role }, expiresAt) {
      const accessKeyId = `ASIA${randomKeyName()}`;
      const secretAccessKey = randomBytes(30).toString('base64');
      const session: SealedSession = { accessKeyId, secretAccessKey, principal, issuer, role, expiresAt };
      return { accessKeyId, secretAccessKey, sessionToken: seal(key, session), expiresAt };
    },

    extend: (source, roles) => ({
      async lookup(accessKeyId, sessionToken): Promise<Credential | undefined> {
        const session = sessionToken === undefined ? undefined : open(key, sessionToken);
        if (session?.accessKeyId !== accessKeyId) return source.lookup(accessKeyId, sessionToken);
        const { secretAccessKey, principal, issuer, role, expiresAt } = session;
        const behind = issuer === undefined ? undefined : await source.lookup(issuer, undefined);
        if (issuer !== undefined && behind === undefined) return undefined;
        const permissions = role === undefined ? behind?.permissions : await roles.permissionsOf(role);
        if (permissions === undefined) return undefined;
        return { secretAccessKey, principal, permissions, origin: { issuer, role }, expiresAt, sessionToken };
      },
    }),
  };
}

function randomKeyName(): string {
  return [...randomBytes(16)].map((byte) => keyAlphabet.charAt(byte % keyAlphabet.length)).join('');
}

function seal(key: Buffer, session: SealedSession): string {
  const iv = randomBytes(ivLength);
  const sealing = createCipheriv(cipher, key, iv);
  const body = Buffer.concat([sealing.update(JSON.stringify(session), 'utf8'), sealing.final()]);
  return Buffer.concat([iv, sealing.getAuthTag(), body]).toString('base64');
}

/** Undefined for anything this key did not seal. */
function open(key: Buffer, token: string): SealedSession | undefined {
  const bytes = Buffer.from(token.slice(0, longestToken), 'base64');
  if (bytes.length <= ivLength + tagLength) return undefined;
  const opening = createDecipheriv(cipher, key, bytes.subarray(0, ivLength), { authTagLength: tagLength });
  opening.setAuthTag(bytes.subarray(ivLength, ivLength + tagLength));
  try {
    const body = Buffer.concat([opening.update(bytes.subarray(ivLength + tagLength)), opening.final()]);
    return JSON.parse(body.toString('utf8')) as SealedSession;
  } catch {
    return undefined;
  }
}
