import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { writeFileDurably } from '../blobs/durable.ts';
import { entries, isThere } from '../blobs/entries.ts';
import { describeLocation, type Store } from './database.ts';
import { dialectOf } from './dialect.ts';

/** The store and the data directory are of two servers: what one knows of, the other does not hold. */
export class ForeignStoreError extends Error {
  override readonly name = 'ForeignStoreError';
}

const fileName = 'store-id';
const setting = 'data-directory';
/** Directories whose contents a server removes when its store does not know of them. */
const kept = ['microvms', path.join('images', 'versions'), path.join('s3', 'objects')];

/**
 * Makes sure that a store outside the data directory is the one that this directory was filled under, since what a
 * store does not know of is removed. The first server on both binds them.
 * @param location of the store, as it was opened
 * @throws {ForeignStoreError}
 */
export async function bindDirectory(store: Store, location: string, directory: string): Promise<void> {
  const file = path.join(directory, fileName);
  const ofDirectory = await readId(file);
  if (dialectOf(store) === 'sqlite') {
    if (ofDirectory === undefined) return;
    throw new ForeignStoreError(
      `${directory} was filled under a PostgreSQL database: name that with --database, or choose another directory with --data-dir`,
    );
  }
  const name = describeLocation(location);
  const ofStore = await bind(store, ofDirectory);
  if (ofStore === ofDirectory) return;
  if (ofDirectory !== undefined || !(await isFresh(directory))) {
    throw new ForeignStoreError(
      `${directory} was not filled under ${name}: choose another directory with --data-dir, or another database with --database`,
    );
  }
  if (await isUsed(store)) {
    throw new ForeignStoreError(
      `${name} belongs to the server of another data directory: a database serves one, so choose another with --database`,
    );
  }
  await writeFileDurably(file, `${ofStore}\n`);
}

/** Id that the store is bound to, bound now where it was to none and nothing says it should have been. */
async function bind(store: Store, ofDirectory: string | undefined): Promise<string | undefined> {
  if (ofDirectory === undefined) {
    await store
      .insertInto('settings')
      .values({ name: setting, value: randomUUID() })
      .onConflict((conflict) => conflict.column('name').doNothing())
      .execute();
  }
  const row = await store
    .selectFrom('settings')
    .select('value')
    .where('name', '=', setting)
    .executeTakeFirst();
  return row?.value;
}

async function readId(file: string): Promise<string | undefined> {
  return (await isThere(file)) ? (await readFile(file, 'utf8')).trim() : undefined;
}

async function isFresh(directory: string): Promise<boolean> {
  if (await isThere(path.join(directory, 'dormouse.sqlite'))) return false;
  const found = await Promise.all(kept.map((name) => entries(path.join(directory, name))));
  return found.every((names) => names.length === 0);
}

async function isUsed(store: Store): Promise<boolean> {
  const images = await store.selectFrom('images').select('image_arn').limit(1).executeTakeFirst();
  const objects = await store.selectFrom('s3_objects').select('key').limit(1).executeTakeFirst();
  const microvms = await store.selectFrom('microvms').select('microvm_id').limit(1).executeTakeFirst();
  return images !== undefined || objects !== undefined || microvms !== undefined;
}
