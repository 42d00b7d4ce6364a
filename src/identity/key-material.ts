import { randomBytes, randomInt } from 'node:crypto';

export interface AccessKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const idAlphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** A new long-lived key. */
export function newAccessKey(): AccessKey {
  return { accessKeyId: randomId('AKIA'), secretAccessKey: randomBytes(30).toString('base64') };
}

/** Sixteen random characters after a prefix that tells what the id is of. */
export function randomId(prefix: string): string {
  return prefix + Array.from({ length: 16 }, () => idAlphabet[randomInt(idAlphabet.length)]).join('');
}
