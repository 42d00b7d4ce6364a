import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { startCliFixture } from './fixture.ts';

test('the command line trusts the certificate that a server was given, whoever signed it, and no other', async (t) => {
  const fixture = await startCliFixture((_request, response) => response.end('ok'));
  t.after(() => fixture.close());
  const at = (name: string): string => path.join(fixture.dataDirectory, name);
  const id = await fixture.launch('given');
  const describe = async (caCertificatePath: string): Promise<void> => {
    const description: object = JSON.parse(await readFile(at('server.json'), 'utf8'));
    await writeFile(at('server.json'), JSON.stringify({ ...description, caCertificatePath }));
  };

  // The first of the chain alone, without the authority that signed it.
  const leaf = new X509Certificate(await readFile(at('endpoint.pem')));
  await writeFile(at('given.pem'), leaf.toString());
  await describe(at('given.pem'));
  const trusted = await fixture.dormouse('curl', id);
  assert.deepEqual([trusted.code, trusted.stdout], [0, 'ok']);

  const stranger = await startCliFixture((_request, response) => response.end('stranger'));
  t.after(() => stranger.close());
  await describe(path.join(stranger.dataDirectory, 'ca.pem'));
  const refused = await fixture.dormouse('curl', id);
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /certificate/);
});
