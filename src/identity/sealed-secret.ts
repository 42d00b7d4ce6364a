import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const cipher = 'aes-256-gcm';
const ivLength = 12;
const tagLength = 16;

/** Encrypts secrets of access keys and webhooks, each bound to the id of what it belongs to. */
export interface SecretSealer {
  seal(secret: string, ownerId: string): string;
  /** @throws when it was not sealed by this key for this id */
  open(sealed: string, ownerId: string): string;
}

/** @param sealingKey 32 secret bytes or more; the encryption key is derived from them */
export function createSecretSealer(sealingKey: Buffer): SecretSealer {
  const key = Buffer.from(hkdfSync('sha256', sealingKey, '', 'access key secrets', 32));
  return {
    seal(secret, ownerId) {
      const iv = randomBytes(ivLength);
      const sealing = createCipheriv(cipher, key, iv).setAAD(Buffer.from(ownerId));
      const body = Buffer.concat([sealing.update(secret, 'utf8'), sealing.final()]);
      return Buffer.concat([iv, sealing.getAuthTag(), body]).toString('base64');
    },

    open(sealed, ownerId) {
      const bytes = Buffer.from(sealed, 'base64');
      const opening = createDecipheriv(cipher, key, bytes.subarray(0, ivLength), { authTagLength: tagLength })
        .setAAD(Buffer.from(ownerId))
        .setAuthTag(bytes.subarray(ivLength, ivLength + tagLength));
      const body = opening.update(bytes.subarray(ivLength + tagLength));
      return Buffer.concat([body, opening.final()]).toString('utf8');
    },
  };
}
