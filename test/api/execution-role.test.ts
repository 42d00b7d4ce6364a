import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LambdaMicrovmsClient, ListMicrovmsCommand } from '@aws-sdk/client-lambda-microvms';
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { localSts } from '../../src/api/sts/local-sts.ts';
import { remoteSts } from '../../src/identity/remote-sts.ts';
import type { AssumeRole, RoleCredentials } from '../../src/network/metadata/role-credentials.ts';
import { startMetadata } from '../support/metadata-listener.ts';
import { raw } from './raw.ts';
import { credentials, realm, startServer, type TestServer } from './server.ts';

/** What a microVM may do with the credentials of its role, here over the real API. */

const roleArn = `arn:aws:iam::${realm.accountId}:role/service/app`;
const allowList = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 'lambda:ListMicrovms', Resource: '*' }],
});
const inAnHour = () => Date.now() + 3_600_000;

const pageTokenKey = randomBytes(32);
let server: TestServer;
let assume: AssumeRole;

before(async () => {
  assume = localSts(pageTokenKey);
  server = await startServer('relaxed', { options: { pageTokenKey } });
});

after(async () => {
  await server.close();
  assert.deepEqual(server.faults, []);
});

async function list(using: RoleCredentials): Promise<string> {
  const client = new LambdaMicrovmsClient({ ...server.client, credentials: using });
  try {
    await client.send(new ListMicrovmsCommand());
    return 'allowed';
  } catch (error) {
    return (error as Error).message;
  } finally {
    client.destroy();
  }
}

test('a role may do nothing until it has a policy, which holds for credentials that are out', async () => {
  const made = await assume(roleArn, 'microvm-1', inAnHour());
  const identity = await new STSClient({ ...server.client, credentials: made }).send(
    new GetCallerIdentityCommand(),
  );
  assert.equal(identity.Arn, `arn:aws:sts::${realm.accountId}:assumed-role/app/microvm-1`);
  const denied = `User: ${identity.Arn} is not authorized to perform: lambda:ListMicrovms on resource: * because no identity-based policy allows the lambda:ListMicrovms action`;
  assert.equal(await list(made), denied);

  const put = await raw(server, 'PUT', '/dormouse/v1/roles/app', { policy: allowList });
  assert.equal(put.status, 200);
  assert.equal((put.json as { arn: string }).arn, `arn:aws:iam::${realm.accountId}:role/app`);
  assert.equal(await list(made), 'allowed');
  const { json } = await raw(server, 'GET', '/dormouse/v1/roles');
  assert.deepEqual((json as { roles: unknown[] }).roles, [put.json]);
  // It may not give itself more.
  const client = new STSClient({ ...server.client, credentials: made });
  await assert.rejects(client.send(new AssumeRoleCommand({ RoleArn: roleArn, RoleSessionName: 'me' })), {
    name: 'AccessDenied',
  });

  assert.equal((await raw(server, 'DELETE', '/dormouse/v1/roles/app')).status, 204);
  assert.equal(await list(made), denied);
  assert.equal((await raw(server, 'DELETE', '/dormouse/v1/roles/app')).status, 404);
});

test('a role of another account has no policy here, and a malformed policy is none', async () => {
  await raw(server, 'PUT', '/dormouse/v1/roles/app', { policy: allowList });
  const foreign = await assume('arn:aws:iam::999999999999:role/app', 'microvm-1', inAnHour());
  assert.match(await list(foreign), /is not authorized/);
  const refused = await raw(server, 'PUT', '/dormouse/v1/roles/app', { policy: '{}' });
  assert.equal(refused.status, 400);
  assert.match((refused.json as { message: string }).message, /^Malformed policy document: /);
  await raw(server, 'DELETE', '/dormouse/v1/roles/app');
});

test('credentials of a role end in time', async () => {
  assert.equal(
    await list(await assume(roleArn, 'microvm-1', Date.now() - 1)),
    'The security token included in the request is expired',
  );
});

test('AssumeRole gives what the policy of the role says, also to the root key', async () => {
  await raw(server, 'PUT', '/dormouse/v1/roles/app', { policy: allowList });
  const remote = remoteSts(server.url, realm.region, Date.now);
  await withEnvironment(
    { AWS_ACCESS_KEY_ID: credentials.accessKeyId, AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey },
    async () => {
      const made = await remote(roleArn, 'microvm-1', Date.now() + 55 * 60_000);
      assert.ok(Math.abs(made.expiresAt - Date.now() - 55 * 60_000) < 60_000);
      assert.equal(await list(made), 'allowed');
      await raw(server, 'DELETE', '/dormouse/v1/roles/app');
      assert.match(await list(made), /is not authorized/);
    },
  );
});

/** Sets variables that are not there otherwise. */
async function withEnvironment(changes: Record<string, string>, work: () => Promise<void>): Promise<void> {
  Object.assign(process.env, changes);
  try {
    await work();
  } finally {
    for (const name of Object.keys(changes)) delete process.env[name];
  }
}

test('the official SDK finds the credentials by itself', async (t) => {
  const { url, microvmId } = await startMetadata(t, { ...realm, pageTokenKey, role: 'app' });
  const script = `
    import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
    const { Arn } = await new STSClient().send(new GetCallerIdentityCommand());
    process.stdout.write(Arn);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env.PATH ?? '',
      AWS_REGION: realm.region,
      AWS_ENDPOINT_URL_STS: server.url,
      AWS_EC2_METADATA_SERVICE_ENDPOINT: url,
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
      AWS_CONFIG_FILE: '/dev/null',
    },
  });
  assert.equal(await text(child.stdout), `arn:aws:sts::${realm.accountId}:assumed-role/app/${microvmId}`);
});
