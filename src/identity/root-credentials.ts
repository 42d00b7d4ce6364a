import { randomBytes, randomInt } from 'node:crypto';
import type { Store } from '../store/database.ts';
import { secretSetting } from '../store/secret-setting.ts';

export interface AccessKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const idAlphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** The key that may do everything; made at the first start and kept in the store. */
export async function rootAccessKey(store: Store): Promise<AccessKey> {
  const stored = await secretSetting(store, 'root-access-key', () => Buffer.from(JSON.stringify(newKey())));
  return JSON.parse(stored.toString()) as AccessKey;
}

function newKey(): AccessKey {
  const id = Array.from({ length: 16 }, () => idAlphabet[randomInt(idAlphabet.length)]).join('');
  return { accessKeyId: `AKIA${id}`, secretAccessKey: randomBytes(30).toString('base64') };
}
