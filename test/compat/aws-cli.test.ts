import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { managedBaseImageArn } from '../../src/model/arn.ts';
import { defaultBucketName } from '../../src/s3/disk-object-store.ts';
import { credentials, realm, startServer, type TestServer } from '../api/server.ts';
import { pythonClients } from '../support/python-clients.ts';
import { exportedFor } from './environment.ts';

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const clients = await pythonClients();
const debianCli = '/usr/bin/aws';
const bucket = `s3://${defaultBucketName(realm.accountId)}`;
const group = '/aws/lambda-microvms/cli';
const liveGroup = '/aws/lambda-microvms/live';

/** Why the CLI that Debian has cannot be tried: only its version 2 can follow logs. */
async function absenceOfDebianCli(): Promise<string | false> {
  const version = await promisify(execFile)(debianCli, ['--version']).then(
    ({ stdout }) => stdout,
    () => '',
  );
  return version.startsWith('aws-cli/2.') ? false : 'the AWS CLI 2 is not installed (Debian package awscli)';
}

const noDebianCli = await absenceOfDebianCli();

let server: TestServer;
let directory: string;

before(async () => {
  server = await startServer('relaxed');
  directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-aws-'));
});

after(async () => {
  await server.close();
  await rm(directory, { recursive: true });
  assert.deepEqual(server.faults, []);
});

function environment(): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '',
    HOME: directory,
    AWS_PAGER: '',
    LC_ALL: 'C.UTF-8',
    ...exportedFor(server),
  };
}

function write(to: string, message: string): Promise<void> {
  return server.services.logs.append(to, '2026/01/02[1.0]one', [{ timestamp: Date.now(), message }]);
}

async function run(program: string, words: readonly string[], env = environment()): Promise<Outcome> {
  return await promisify(execFile)(program, [...words], { env, encoding: 'utf8' }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: Outcome) => ({ code: error.code, stdout: error.stdout, stderr: error.stderr }),
  );
}

describe('the AWS CLI of the Python package index', { skip: clients.skip }, () => {
  const cli = clients.skip === false ? clients.aws : '';

  async function aws(...words: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await run(cli, words);
    assert.equal(code, 0, `${words.join(' ')}: ${stderr}`);
    return stdout;
  }

  async function microvms(...words: readonly string[]): Promise<Record<string, unknown>> {
    const text = await aws('lambda-microvms', ...words);
    return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  }

  test('makes an image and takes a microVM of it through its life', async () => {
    const { imageArn } = await microvms(
      'create-microvm-image',
      ...['--name', 'cli', '--base-image-arn', managedBaseImageArn(realm.region)],
      ...['--build-role-arn', `arn:aws:iam::${realm.accountId}:role/build`],
      ...['--code-artifact', `uri=${bucket}/app.zip`, '--resources', 'minimumMemoryInMiB=512'],
      ...['--environment-variables', 'A=1,B=two', '--tags', 'team=a'],
    );
    const { microvmId, state } = await microvms(
      'run-microvm',
      ...['--image-identifier', String(imageArn)],
      ...['--idle-policy', 'maxIdleDurationSeconds=60,suspendedDurationSeconds=60,autoResumeEnabled=true'],
    );
    assert.equal(state, 'PENDING');
    const named = ['--microvm-identifier', String(microvmId)];
    await microvms('suspend-microvm', ...named);
    assert.equal((await microvms('get-microvm', ...named)).state, 'SUSPENDED');
    const { authToken } = await microvms(
      ...['create-microvm-auth-token', ...named],
      ...['--expiration-in-minutes', '5', '--allowed-ports', 'port=8080'],
    );
    assert.ok((authToken as Record<string, string>)['X-aws-proxy-auth']);
    await microvms('terminate-microvm', ...named);
    const query = ['--query', 'items[].[microvmId,state]', '--output', 'text'];
    assert.equal(await aws('lambda-microvms', 'list-microvms', ...query), `${microvmId}\tTERMINATED\n`);
  });

  test('says what is wrong in the words of the service', async () => {
    const { code, stderr } = await run(cli, [
      'lambda-microvms',
      'get-microvm',
      '--microvm-identifier',
      'none',
    ]);
    assert.notEqual(code, 0);
    assert.match(
      stderr,
      /An error occurred \(ResourceNotFoundException\) when calling the GetMicrovm operation: MicroVM not found: none/,
    );
  });

  test('copies, lists, presigns and removes files', async () => {
    const source = path.join(directory, 'source');
    const target = path.join(directory, 'target');
    await writeFile(source, randomBytes(12 * 1024 * 1024));
    await aws('s3', 'cp', '--no-progress', source, `${bucket}/dir/large`);
    assert.match(await aws('s3', 'ls', `${bucket}/dir/`), / 12582912 large\n$/);
    await aws('s3', 'cp', '--no-progress', `${bucket}/dir/large`, target);
    assert.ok((await readFile(source)).equals(await readFile(target)));
    const url = (await aws('s3', 'presign', `${bucket}/dir/large`)).trim();
    const fetched = await fetch(url);
    assert.equal(fetched.status, 200, await fetched.clone().text());
    assert.equal((await fetched.arrayBuffer()).byteLength, 12 * 1024 * 1024);
    await aws('s3', 'rm', '--recursive', `${bucket}/dir`);
    assert.equal(await aws('s3', 'ls', bucket), '');
  });

  test('looks at logs live', async () => {
    await write(liveGroup, 'before you looked');
    const arn = `arn:aws:logs:${realm.region}:${realm.accountId}:log-group:${liveGroup}`;
    const child = spawn(cli, ['logs', 'start-live-tail', '--log-group-identifiers', arn], {
      env: { ...environment(), PYTHONUNBUFFERED: '1' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    // It tells nothing of when its session has begun.
    const writing = setInterval(() => void write(liveGroup, 'while you look'), 200);
    assert.match((await lines.next()).value ?? '', /while you look/);
    clearInterval(writing);
    const exited = once(child, 'exit');
    child.kill('SIGINT');
    await exited;
  });

  test('works with a profile that was configured for it', async () => {
    const { AWS_ACCESS_KEY_ID: _id, AWS_SECRET_ACCESS_KEY: _secret, ...others } = environment();
    const env = { ...others, AWS_CONFIG_FILE: path.join(directory, 'config'), AWS_PROFILE: 'dormouse' };
    const set = async (name: string, value: string): Promise<void> => {
      const { code, stderr } = await run(cli, ['configure', 'set', name, value], env);
      assert.equal(code, 0, stderr);
    };
    await set('aws_access_key_id', credentials.accessKeyId);
    await set('aws_secret_access_key', credentials.secretAccessKey);
    const { stdout, stderr } = await run(cli, ['sts', 'get-caller-identity', '--query', 'Account'], env);
    assert.equal(stdout, `"${realm.accountId}"\n`, stderr);
  });
});

describe('the AWS CLI of Debian', { skip: noDebianCli }, () => {
  // It is older than the variables that name an endpoint.
  const aws = (...words: readonly string[]): readonly string[] => ['--endpoint-url', server.url, ...words];

  test('logs tail shows what is there, and with --follow what comes', async () => {
    await write(group, 'before you looked');
    const { stdout, stderr } = await run(debianCli, aws('logs', 'tail', group));
    assert.match(stdout, /^\S+ 2026\/01\/02\[1\.0\]one before you looked\n$/, stderr);
    const follower = spawn(debianCli, [...aws('logs', 'tail', group, '--follow', '--format', 'short')], {
      env: { ...environment(), PYTHONUNBUFFERED: '1' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: follower.stdout })[Symbol.asyncIterator]();
    assert.match((await lines.next()).value ?? '', / before you looked$/);
    await write(group, 'while you look');
    assert.match((await lines.next()).value ?? '', / while you look$/);
    const exited = once(follower, 'exit');
    follower.kill('SIGINT');
    await exited;
  });

  test('s3 cp works as well', async () => {
    const file = path.join(directory, 'old-cli');
    await writeFile(file, 'by an older client');
    const copied = await run(debianCli, aws('s3', 'cp', '--no-progress', file, `${bucket}/old`));
    assert.equal(copied.code, 0, copied.stderr);
    const { stdout } = await run(debianCli, aws('s3', 'cp', `${bucket}/old`, '-'));
    assert.equal(stdout, 'by an older client');
  });
});
