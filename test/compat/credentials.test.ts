import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { LambdaMicrovmsClient, ListMicrovmsCommand } from '@aws-sdk/client-lambda-microvms';
import {
  AssumeRoleCommand,
  type Credentials,
  GetCallerIdentityCommand,
  GetSessionTokenCommand,
  STSClient,
} from '@aws-sdk/client-sts';
import { raw } from '../api/raw.ts';
import { credentials, principal, realm, startServer, type TestServer } from '../api/server.ts';
import { exportedFor } from './environment.ts';

const program = fileURLToPath(new URL('child-sdk.ts', import.meta.url));
const role = `arn:aws:iam::${realm.accountId}:role/worker`;

let server: TestServer;
let sts: STSClient;
let directory: string;

before(async () => {
  server = await startServer('relaxed');
  sts = new STSClient({ ...server.client, maxAttempts: 1 });
  directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-credentials-'));
});

after(async () => {
  sts.destroy();
  await server.close();
  await rm(directory, { recursive: true });
  assert.deepEqual(server.faults, []);
});

/** Runs the program with that environment and nothing of ours. */
async function child(environment: Record<string, string>): Promise<unknown> {
  const nothing = path.join(directory, 'nothing');
  const { stdout } = await promisify(execFile)(process.execPath, [program], {
    env: {
      PATH: process.env.PATH ?? '',
      HOME: directory,
      AWS_CONFIG_FILE: nothing,
      AWS_SHARED_CREDENTIALS_FILE: nothing,
      AWS_EC2_METADATA_DISABLED: 'true',
      ...environment,
    },
  });
  return JSON.parse(stdout);
}

async function profile(text: string): Promise<Record<string, string>> {
  const file = path.join(directory, 'config');
  await writeFile(file, text);
  const { AWS_ACCESS_KEY_ID: _id, AWS_SECRET_ACCESS_KEY: _secret, ...rest } = exportedFor(server);
  return { ...rest, AWS_CONFIG_FILE: file, AWS_PROFILE: 'mine' };
}

/** Whether a client with those credentials gets an answer; else the name of the error. */
async function works(given: Partial<Credentials> = {}): Promise<string> {
  const client = new LambdaMicrovmsClient({
    ...server.client,
    maxAttempts: 1,
    credentials: {
      accessKeyId: given.AccessKeyId ?? '',
      secretAccessKey: given.SecretAccessKey ?? '',
      ...(given.SessionToken === undefined ? {} : { sessionToken: given.SessionToken }),
    },
  });
  try {
    await client.send(new ListMicrovmsCommand({}));
    return 'works';
  } catch (error) {
    return (error as Error).name;
  } finally {
    client.destroy();
  }
}

test('a program works with what `dormouse env` exports and no change of its own', async () => {
  assert.deepEqual(await child(exportedFor(server)), { Arn: principal.arn, items: [] });
});

test('a profile of a configuration file works, with keys and through a role', async () => {
  const keys = `aws_access_key_id = ${credentials.accessKeyId}\naws_secret_access_key = ${credentials.secretAccessKey}\n`;
  assert.deepEqual(await child(await profile(`[profile mine]\nregion = us-east-1\n${keys}`)), {
    Arn: principal.arn,
    items: [],
  });
  const chained = `[profile base]\n${keys}\n[profile mine]\nrole_arn = ${role}\nsource_profile = base\nrole_session_name = me\n`;
  assert.deepEqual(await child(await profile(chained)), {
    Arn: `arn:aws:sts::${realm.accountId}:assumed-role/worker/me`,
    items: [],
  });
});

test('no credentials, wrong ones and empty ones are 403', async () => {
  const empty = {
    ...exportedFor(server),
    AWS_ACCESS_KEY_ID: '/dev/null',
    AWS_SECRET_ACCESS_KEY: '/dev/null',
  };
  assert.deepEqual(await child(empty), { error: 'InvalidClientTokenId', status: 403 });
  assert.equal(
    await works({ AccessKeyId: '/dev/null', SecretAccessKey: '/dev/null' }),
    'UnrecognizedClientException',
  );
  const wrong = { AccessKeyId: credentials.accessKeyId, SecretAccessKey: 'wrong' };
  assert.equal(await works(wrong), 'InvalidSignatureException');
  assert.equal((await fetch(`${server.url}/2025-09-09/microvms`)).status, 403);
});

test('sessions work until their key ends, and nothing about them can be changed', async () => {
  const { Credentials: session } = await sts.send(new GetSessionTokenCommand({ DurationSeconds: 900 }));
  assert.equal(await works(session), 'works');
  const { Credentials: assumed, AssumedRoleUser } = await sts.send(
    new AssumeRoleCommand({ RoleArn: role, RoleSessionName: 'me' }),
  );
  assert.equal(await works(assumed), 'works');
  assert.equal(AssumedRoleUser?.Arn, `arn:aws:sts::${realm.accountId}:assumed-role/worker/me`);
  assert.equal(await works({ ...session, SessionToken: undefined }), 'UnrecognizedClientException');
  const swapped = { ...session, SessionToken: assumed?.SessionToken };
  assert.equal(await works(swapped), 'UnrecognizedClientException');

  const policy = JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }],
  });
  const made = await raw(server, 'POST', '/dormouse/v1/keys', { keyName: 'brief', policy });
  const { accessKeyId, secretAccessKey } = made.json as { accessKeyId: string; secretAccessKey: string };
  const own = new STSClient({
    ...server.client,
    credentials: { accessKeyId, secretAccessKey },
    maxAttempts: 1,
  });
  const { Credentials: brief } = await own.send(new GetSessionTokenCommand({}));
  assert.equal(await works(brief), 'works');
  assert.equal(
    (await own.send(new GetCallerIdentityCommand({}))).Arn,
    `arn:aws:iam::${realm.accountId}:user/brief`,
  );
  await raw(server, 'DELETE', '/dormouse/v1/keys/brief');
  assert.equal(await works(brief), 'UnrecognizedClientException');
  own.destroy();
});
