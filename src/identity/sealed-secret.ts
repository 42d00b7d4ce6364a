import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const cipher = 'aes-256-gcm';
const ivLength = 12;
const tagLength = 16;

/** Encrypts the secrets of access keys, each bound to the id of its key. */
export interface SecretSealer {
  seal(secret: string, accessKeyId: string): string;
  /** @throws when it was not sealed by this key for this id */
  open(sealed: string, accessKeyId: string): string;
}

/** @param sealingKey 32 secret bytes or more; the encryption key is derived from them */
export function createSecretSealer(sealingKey: Buffer): SecretSealer {
  const key = Buffer.from(hkdfSync('sha256', sealingKey, '', 'access key secrets', 32));
  return {
    seal(secret, accessKeyId) {
      const iv = randomBytes(ivLength);
      const sealing = createCipheriv(cipher, key, iv).setAAD(Buffer.from(accessKeyId));
      const body = Buffer.concat([sealing.update(secret, 'utf8'), sealing.final()]);
      return Buffer.concat([iv, sealing.getAuthTag(), body]).toString('base64');
    },

    open(sealed, accessKeyId) {
      const bytes = Buffer.from(sealed, 'base64');
      const opening = createDecipheriv(cipher, key, bytes.subarray(0, ivLength), { authTagLength: tagLength })
        .setAAD(Buffer.from(accessKeyId))
        .setAuthTag(bytes.subarray(ivLength, ivLength + tagLength));
      const body = opening.update(bytes.subarray(ivLength + tagLength));
      return Buffer.concat([body, opening.final()]).toString('utf8');
    },
  };
}
