import { randomBytes, randomUUID, type webcrypto } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { ensureDirectory, writeFileDurably } from '../blobs/durable.ts';
import type { Clock } from '../model/clock.ts';

/** A key was retired this long ago: no token it made can still be valid. */
const graceMs = 61 * 60_000;

const fileSchema = z.object({
  keys: z
    .array(
      z.object({
        kid: z.uuid(),
        secret: z.base64url(),
        /** Milliseconds since the epoch; null for the key that makes new tokens. */
        retiredAt: z.number().nullable(),
      }),
    )
    .min(1),
});
type StoredKey = z.output<typeof fileSchema>['keys'][number];

export interface TokenKey {
  readonly kid: string;
  readonly key: CryptoKey;
}

/** The keys of endpoint tokens, kept in `token-keys.json` (mode 0600). */
export interface TokenKeys {
  current(): TokenKey;
  find(kid: string): TokenKey | undefined;
  /**
   * Makes a new current key. Tokens of the old ones stay valid until they expire, unless `revoke` is set: then
   * every token made so far is refused from now on.
   */
  rotate(options: { readonly revoke: boolean }): Promise<void>;
}

/** Opens the key file of `directory`, or makes the first key. */
export async function openTokenKeys(directory: string, clock: Pick<Clock, 'now'>): Promise<TokenKeys> {
  await ensureDirectory(directory);
  const file = path.join(directory, 'token-keys.json');
  let stored = await load(file);
  if (stored === undefined) {
    stored = [newKey()];
    await save(file, stored);
  }
  let keys = await importAll(stored);
  let rotation: Promise<void> = Promise.resolve();

  async function rotate(revoke: boolean): Promise<void> {
    const now = clock.now();
    const kept = revoke
      ? []
      : (stored ?? [])
          .map((key) => ({ ...key, retiredAt: key.retiredAt ?? now }))
          .filter((key) => now - key.retiredAt < graceMs);
    const next = [newKey(), ...kept];
    const imported = await importAll(next);
    await save(file, next);
    stored = next;
    keys = imported;
  }

  return {
    current: () => keys.current,
    find: (kid) => keys.byId.get(kid),
    rotate({ revoke }) {
      rotation = rotation.catch(() => undefined).then(() => rotate(revoke));
      return rotation;
    },
  };
}

function newKey(): StoredKey {
  return { kid: randomUUID(), secret: randomBytes(32).toString('base64url'), retiredAt: null };
}

async function load(file: string): Promise<readonly StoredKey[] | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  const parsed = fileSchema.safeParse(JSON.parse(text));
  // The parser's own message would quote the secrets.
  if (!parsed.success)
    throw new Error(`${file} is damaged: remove it to make a new key (revokes all tokens)`);
  return parsed.data.keys;
}

async function save(file: string, keys: readonly StoredKey[]): Promise<void> {
  await writeFileDurably(file, `${JSON.stringify({ keys })}\n`, 0o600);
}

async function importAll(
  stored: readonly StoredKey[],
): Promise<{ readonly current: TokenKey; readonly byId: ReadonlyMap<string, TokenKey> }> {
  const imported = await Promise.all(
    stored.map(async ({ kid, secret }): Promise<TokenKey> => {
      const usages: webcrypto.KeyUsage[] = ['encrypt', 'decrypt'];
      const raw = Buffer.from(secret, 'base64url');
      return { kid, key: await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, usages) };
    }),
  );
  const current = imported[0];
  if (current === undefined) throw new Error('no token key');
  return { current, byId: new Map(imported.map((key) => [key.kid, key])) };
}
