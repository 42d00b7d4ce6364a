import assert from 'node:assert/strict';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { openDatabase, type Store } from '../store/database.ts';
import { AccessKeys } from './access-keys.ts';
import { createSecretSealer } from './sealed-secret.ts';
import { openSealingKey } from './sealing-key.ts';

const rootKey = { accessKeyId: 'AKIAROOT', secretAccessKey: 'root secret' };
const policy = JSON.stringify({
  Version: '2012-10-17',
  Statement: { Effect: 'Allow', Action: 'lambda:*', Resource: '*' },
});
let directory: string;
const stores: Store[] = [];

before(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-keys-'));
});

after(async () => {
  for (const store of stores) await store.destroy();
  await rm(directory, { recursive: true });
});

/** As a start of the server does. */
async function open(name: string): Promise<{ readonly keys: AccessKeys; readonly store: Store }> {
  const store = await openDatabase(path.join(directory, `${name}.sqlite`));
  stores.push(store);
  const sealer = createSecretSealer(await openSealingKey(path.join(directory, name)));
  const clock = { now: () => 1000 };
  return { keys: new AccessKeys({ store, sealer, accountId: '123456789012', clock, rootKey }), store };
}

test('keys survive a restart, with a secret that is nowhere to be read', async () => {
  const first = await open('restart');
  const issued = await first.keys.create('ci', policy);
  assert.match(issued.accessKeyId, /^AKIA[A-Z2-7]{16}$/);
  assert.ok(issued.secretAccessKey.length >= 40);
  const rows = JSON.stringify(await first.store.selectFrom('access_keys').selectAll().execute());
  assert.ok(rows.includes(issued.accessKeyId));
  assert.ok(!rows.includes(issued.secretAccessKey));
  assert.ok(!rows.includes(Buffer.from(issued.secretAccessKey).toString('base64').slice(0, 24)));

  const { keys } = await open('restart');
  const known = await keys.lookup(issued.accessKeyId);
  assert.equal(known?.secretAccessKey, issued.secretAccessKey);
  assert.equal(known?.principal.arn, 'arn:aws:iam::123456789012:user/ci');
  assert.notEqual(known?.permissions, 'all');
  const [listed, ...others] = await keys.list();
  assert.deepEqual(others, []);
  assert.deepEqual({ ...listed, secretAccessKey: issued.secretAccessKey }, issued);
  const { mode } = await stat(path.join(directory, 'restart', 'sealing-key'));
  assert.equal(mode & 0o777, 0o600);
});

test('a sealed secret is worth nothing under another id', async () => {
  const { keys, store } = await open('swap');
  const one = await keys.create('one', policy);
  const other = await keys.create('other', policy);
  const { sealed_secret } = await store
    .selectFrom('access_keys')
    .select('sealed_secret')
    .where('name', '=', 'one')
    .executeTakeFirstOrThrow();
  await store.updateTable('access_keys').set({ sealed_secret }).where('name', '=', 'other').execute();
  assert.ok(await keys.lookup(one.accessKeyId));
  await assert.rejects(keys.lookup(other.accessKeyId));
});

test('rotating and deleting end what was', async () => {
  const { keys } = await open('rotate');
  const old = await keys.create('ci', policy);
  const next = await keys.rotate('ci');
  assert.notEqual(next.secretAccessKey, old.secretAccessKey);
  assert.equal(next.rotatedAt, 1000);
  assert.equal(await keys.lookup(old.accessKeyId), undefined);
  assert.equal((await keys.lookup(next.accessKeyId))?.secretAccessKey, next.secretAccessKey);
  await keys.delete('ci');
  assert.equal(await keys.lookup(next.accessKeyId), undefined);
  await assert.rejects(keys.delete('ci'), { code: 'ResourceNotFoundException' });
  await assert.rejects(keys.rotate('ci'), { code: 'ResourceNotFoundException' });
});

test('refuses a name that is taken, and what is not a policy', async () => {
  const { keys } = await open('refusals');
  await keys.create('ci', policy);
  await assert.rejects(keys.create('ci', policy), { code: 'ConflictException' });
  await assert.rejects(keys.create('other', '{}'), { code: 'ValidationException' });
  assert.equal((await keys.list()).length, 1);
});

test('the root key may do everything', async () => {
  const { keys } = await open('root');
  const known = await keys.lookup(rootKey.accessKeyId);
  assert.equal(known?.permissions, 'all');
  assert.equal(known?.principal.arn, 'arn:aws:iam::123456789012:root');
});

test('a damaged sealing key is not replaced', async () => {
  await openSealingKey(path.join(directory, 'damaged'));
  await writeFile(path.join(directory, 'damaged', 'sealing-key'), 'c2hvcnQ=');
  await assert.rejects(openSealingKey(path.join(directory, 'damaged')), /damaged/);
});
