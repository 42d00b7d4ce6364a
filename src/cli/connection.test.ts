import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { environmentOf } from './commands/env.ts';
import { findConnection, type ServerDescription } from './connection.ts';
import { CliError } from './errors.ts';

let directory: string;
const server: ServerDescription = {
  apiEndpoint: 'http://127.0.0.1:4000',
  s3Endpoint: 'http://127.0.0.1:4000',
  endpointPort: 4001,
  endpointDomain: 'microvm.localhost',
  region: 'eu-west-1',
  accountId: '000000000000',
  accessKeyId: 'AKIALOCAL',
  secretAccessKey: 'local-secret',
  caCertificatePath: '/data/tls/ca.pem',
  vmm: 'qemu',
  accelerator: 'tcg',
  dataDirectory: '/data',
};

before(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-cli-'));
  await writeFile(path.join(directory, 'server.json'), JSON.stringify(server));
});

after(async () => {
  await rm(directory, { recursive: true });
});

test('a local server is found by its data directory', async () => {
  const found = await findConnection({ dataDir: directory }, {});
  assert.equal(found.apiEndpoint, server.apiEndpoint);
  assert.equal(found.caCertificatePath, server.caCertificatePath);
  assert.equal((await findConnection({}, { DORMOUSE_DATA_DIR: directory })).region, 'eu-west-1');
});

test('what `dormouse env` prints leads to the same server', async () => {
  const found = await findConnection({}, environmentOf(server));
  assert.equal(found.apiEndpoint, server.apiEndpoint);
  assert.equal(found.s3Endpoint, server.s3Endpoint);
  assert.equal(found.accessKeyId, server.accessKeyId);
  assert.equal(found.region, server.region);
});

test('a flag wins over the environment, and the local keys are not sent elsewhere', async () => {
  const environment = { ...environmentOf(server), AWS_ACCESS_KEY_ID: '', DORMOUSE_DATA_DIR: directory };
  await assert.rejects(findConnection({ endpointUrl: 'https://remote.example' }, environment), CliError);
  const found = await findConnection({ endpointUrl: 'https://remote.example' }, environmentOf(server));
  assert.equal(found.apiEndpoint, 'https://remote.example');
  assert.equal(found.s3Endpoint, 'https://remote.example');
});

test('without a server the error says how to start one', async () => {
  await assert.rejects(
    findConnection({ dataDir: path.join(directory, 'none') }, {}),
    (error: unknown) => error instanceof CliError && /npm start/.test(error.hint ?? ''),
  );
});
