import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { raw } from '../api/raw.ts';
import { realm, startServer, type TestServer } from '../api/server.ts';
import { startMetadata } from '../support/metadata-listener.ts';
import { pythonClients } from '../support/python-clients.ts';
import { exportedFor } from './environment.ts';

const program = fileURLToPath(new URL('boto3_connectors.py', import.meta.url));
const clients = await pythonClients();

describe('boto3 with connectors and a metadata service', { skip: clients.skip }, () => {
  const pageTokenKey = randomBytes(32);
  let server: TestServer;

  before(async () => {
    server = await startServer('relaxed', { options: { pageTokenKey } });
  });

  after(async () => {
    await server.close();
    assert.deepEqual(server.faults, []);
  });

  /** What the program prints; it fails with its traceback. */
  async function python(what: string, environment: Record<string, string>): Promise<string> {
    assert(clients.skip === false);
    const { stdout } = await promisify(execFile)(clients.python, [program, what], {
      env: {
        PATH: process.env.PATH ?? '',
        HOME: '/nonexistent',
        ACCOUNT_ID: realm.accountId,
        ...environment,
      },
    });
    return stdout.trim();
  }

  test('every operation of connectors', async () => {
    assert.equal((await raw(server, 'PUT', '/dormouse/v1/egress-policies/subnet-boto', {})).status, 200);
    await python('connectors', exportedFor(server));
  });

  test('finds the credentials of the role by itself', async (t) => {
    const { url, microvmId } = await startMetadata(t, { ...realm, pageTokenKey, role: 'worker' });
    const { AWS_ACCESS_KEY_ID: _id, AWS_SECRET_ACCESS_KEY: _secret, ...endpoints } = exportedFor(server);
    assert.equal(
      await python('metadata', { ...endpoints, AWS_EC2_METADATA_SERVICE_ENDPOINT: url }),
      `arn:aws:sts::${realm.accountId}:assumed-role/worker/${microvmId}`,
    );
  });
});
