import type { Store } from '../store/database.ts';
import { secretSetting } from '../store/secret-setting.ts';
import { type AccessKey, newAccessKey } from './key-material.ts';

/** The key that may do everything; made at the first start and kept in the store. */
export async function rootAccessKey(store: Store): Promise<AccessKey> {
  const stored = await secretSetting(store, 'root-access-key', () =>
    Buffer.from(JSON.stringify(newAccessKey())),
  );
  return JSON.parse(stored.toString()) as AccessKey;
}
