import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { UsageHistory } from '../../src/microvms/usage-history.ts';
import { realm, startServer } from '../api/server.ts';
import { pythonClients } from '../support/python-clients.ts';
import { exportedFor } from './environment.ts';

const program = fileURLToPath(new URL('boto3_deploy.py', import.meta.url));
const clients = await pythonClients();

// Another region than the one that IAM is always signed for.
const region = 'eu-central-1';

test('a deploy script sets itself up, twice, and tears all down', { skip: clients.skip }, async (t) => {
  assert(clients.skip === false);
  const usage = new UsageHistory();
  const one = { microvmId: 'microvm-1', memoryMib: 512, residentBytes: 0 };
  usage.record(Date.now() - 120_000, [{ ...one, cpuSeconds: 0 }]);
  usage.record(Date.now() - 60_000, [{ ...one, cpuSeconds: 6 }]);
  const server = await startServer('relaxed', {
    options: { realm: { ...realm, region } },
    services: { usage },
  });
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
