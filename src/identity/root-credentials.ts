import { randomBytes, randomInt } from 'node:crypto';
import type { Store } from '../store/database.ts';

export interface AccessKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const setting = 'root-access-key';
const idAlphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** The key that may do everything; made at the first start and kept in the store. */
export async function rootAccessKey(store: Store): Promise<AccessKey> {
  const fresh: AccessKey = {
    accessKeyId: `AKIA${Array.from({ length: 16 }, () => idAlphabet[randomInt(idAlphabet.length)]).join('')}`,
    secretAccessKey: randomBytes(30).toString('base64'),
  };
  await store
    .insertInto('settings')
    .values({ name: setting, value: JSON.stringify(fresh) })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute();
  const row = await store
    .selectFrom('settings')
    .select('value')
    .where('name', '=', setting)
    .executeTakeFirstOrThrow();
  return JSON.parse(row.value) as AccessKey;
}
