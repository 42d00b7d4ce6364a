import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { realm, startServer } from '../api/server.ts';
import { pythonClients } from '../support/python-clients.ts';
import { exportedFor } from './environment.ts';

const program = fileURLToPath(new URL('boto3_deploy.py', import.meta.url));
const clients = await pythonClients();

// Another region than the one that IAM is always signed for.
const region = 'eu-central-1';

test('a deploy script sets itself up, twice, and tears all down', { skip: clients.skip }, async (t) => {
  assert(clients.skip === false);
  const server = await startServer('relaxed', { options: { realm: { ...realm, region } } });
  t.after(() => server.close());
  await promisify(execFile)(clients.python, [program], {
    env: {
      PATH: process.env.PATH ?? '',
      HOME: '/nonexistent',
      ...exportedFor(server),
      AWS_REGION: region,
      AWS_DEFAULT_REGION: region,
      ACCOUNT_ID: realm.accountId,
    },
  });
  assert.deepEqual(server.faults, []);
});
