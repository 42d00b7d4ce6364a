import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { absence } from '../support/programs.ts';
import { dormouse, startCliFixture } from './fixture.ts';

const run = promisify(execFile);
const skip = await absence('certutil', 'libnss3-tools');

/** Names and trust of what a store holds. */
async function held(store: string): Promise<string[]> {
  const { stdout } = await run('certutil', ['-d', `sql:${store}`, '-L']);
  return stdout.match(/^dormouse-\S+ +\S+/gm)?.map((line) => line.replace(/ +/, ' ')) ?? [];
}

test('trust adds the authority to the browsers of a user once, and removes it', { skip }, async (t) => {
  const fixture = await startCliFixture((_request, response) => response.end());
  t.after(() => fixture.close());
  const home = path.join(fixture.dataDirectory, 'home');
  const firefox = path.join(home, '.mozilla', 'firefox', 'abc.default');
  await mkdir(firefox, { recursive: true });
  await run('certutil', ['-d', `sql:${firefox}`, '-N', '--empty-password']);
  const stores = [path.join(home, '.pki', 'nssdb'), firefox];
  const trust = (...words: string[]) =>
    dormouse(['trust', ...words], { DORMOUSE_DATA_DIR: fixture.dataDirectory, HOME: home });
  const authority = new X509Certificate(await readFile(path.join(fixture.dataDirectory, 'ca.pem')));
  const fingerprint = authority.fingerprint256.replaceAll(':', '').toLowerCase();
  const expected = [`dormouse-${fingerprint.slice(0, 16)} C,,`];

  for (let round = 0; round < 2; round += 1) {
    const { code, stdout, stderr } = await trust('--json');
    assert.deepEqual([code, stderr, JSON.parse(stdout)], [0, '', { trusted: true, stores }]);
    for (const store of stores) assert.deepEqual(await held(store), expected);
  }
  const removed = await trust('--remove');
  assert.deepEqual(
    [removed.code, removed.stdout],
    [0, stores.map((store) => `no longer trusted in ${store}\n`).join('')],
  );
  for (const store of stores) assert.deepEqual(await held(store), []);
});

test('a certificate that is no authority is not added', async (t) => {
  const fixture = await startCliFixture((_request, response) => response.end());
  t.after(() => fixture.close());
  const description = path.join(fixture.dataDirectory, 'server.json');
  const caCertificatePath = path.join(fixture.dataDirectory, 'endpoint.pem');
  const server: object = JSON.parse(await readFile(description, 'utf8'));
  await writeFile(description, JSON.stringify({ ...server, caCertificatePath }));
  const { code, stderr } = await fixture.dormouse('trust');
  assert.notEqual(code, 0);
  assert.match(stderr, /trust whoever signed that/);
});
