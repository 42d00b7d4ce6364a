import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  CreateMicrovmAuthTokenCommand,
  CreateMicrovmImageCommand,
  GetMicrovmCommand,
  GetMicrovmImageCommand,
  LambdaMicrovmsClient,
  ListMicrovmImagesCommand,
  ListMicrovmsCommand,
  RunMicrovmCommand,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateMicrovmImageCommand,
} from '@aws-sdk/client-lambda-microvms';
import { signRequest } from '../../src/api/sigv4/sign.ts';
import { imageArn, managedBaseImageArn } from '../../src/model/arn.ts';
import { defaultBucketName } from '../../src/s3/disk-object-store.ts';
import { credentials, realm, startServer, type TestServer } from './server.ts';

interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

type Json = Readonly<Record<string, unknown>>;

let server: TestServer;
let root: LambdaMicrovmsClient;
let microvmId: string | undefined;
const web = imageArn(realm, 'web');
const user = (name: string): string => `arn:aws:iam::${realm.accountId}:user/${name}`;
const buildRoleArn = `arn:aws:iam::${realm.accountId}:role/build`;
const bucket = defaultBucketName(realm.accountId);
const passConnectors = { Effect: 'Allow', Action: 'lambda:PassNetworkConnector', Resource: '*' };

before(async () => {
  server = await startServer();
  root = microvms(credentials);
  for (const name of ['web', 'secret']) {
    await root.send(new CreateMicrovmImageCommand({ ...image(name), tags: { team: name } }));
  }
  ({ microvmId } = await root.send(new RunMicrovmCommand({ imageIdentifier: web })));
});

after(async () => {
  root.destroy();
  await server.close();
  assert.deepEqual(server.faults, []);
});

function image(name: string) {
  return {
    name,
    baseImageArn: managedBaseImageArn(realm.region),
    buildRoleArn,
    codeArtifact: { uri: `s3://${bucket}/${name}.zip` },
  };
}

function microvms(signer: Credentials): LambdaMicrovmsClient {
  return new LambdaMicrovmsClient({ ...server.client, credentials: signer, maxAttempts: 1 });
}

async function extension(method: string, path: string, body?: unknown, signer: Credentials = credentials) {
  const url = new URL(path, server.url);
  const text = body === undefined ? undefined : JSON.stringify(body);
  const headers = signRequest(
    { method, url, body: text, headers: text === undefined ? {} : { 'content-type': 'application/json' } },
    { credentials: signer, region: realm.region, service: 'lambda' },
  );
  const response = await fetch(url, { method, headers, body: text ?? null });
  const answer = await response.text();
  return { status: response.status, json: (answer === '' ? {} : JSON.parse(answer)) as Json, text: answer };
}

/** A new access key with these statements. */
async function key(keyName: string, ...statements: readonly Json[]): Promise<Credentials> {
  const policy = JSON.stringify({ Version: '2012-10-17', Statement: statements });
  const { status, json } = await extension('POST', '/dormouse/v1/keys', { keyName, policy });
  assert.equal(status, 201);
  return { accessKeyId: String(json.accessKeyId), secretAccessKey: String(json.secretAccessKey) };
}

async function sts(form: Readonly<Record<string, string>>, signer: Credentials) {
  const url = new URL(server.url);
  const body = String(new URLSearchParams({ ...form, Version: '2011-06-15' }));
  const headers = signRequest(
    { method: 'POST', url, body },
    { credentials: signer, region: realm.region, service: 'sts' },
  );
  const text = await (await fetch(url, { method: 'POST', headers, body })).text();
  const value = (name: string): string => new RegExp(`<${name}>(.*?)</${name}>`, 's').exec(text)?.[1] ?? '';
  const session = {
    accessKeyId: value('AccessKeyId'),
    secretAccessKey: value('SecretAccessKey'),
    sessionToken: value('SessionToken'),
  };
  return { value, session };
}

function denied(action: string, resource: string, principal: string) {
  return {
    name: 'AccessDeniedException',
    message:
      `User: ${principal} is not authorized to perform: ${action} on resource: ${resource} ` +
      `because no identity-based policy allows the ${action} action`,
  };
}

test('a key does what its policy allows, on the images it names', async () => {
  const onWeb = { Effect: 'Allow', Action: ['lambda:RunMicrovm', 'lambda:Get*'], Resource: web };
  const client = microvms(await key('runner', onWeb, passConnectors));
  const run = await client.send(new RunMicrovmCommand({ imageIdentifier: web }));
  assert.equal(run.imageArn, web);
  assert.equal((await client.send(new GetMicrovmImageCommand({ imageIdentifier: web }))).name, 'web');
  // By its name, which the relaxed profile takes, it is the same image.
  await client.send(new GetMicrovmImageCommand({ imageIdentifier: 'web' }));

  const secret = imageArn(realm, 'secret');
  const me = user('runner');
  await assert.rejects(
    client.send(new RunMicrovmCommand({ imageIdentifier: secret })),
    denied('lambda:RunMicrovm', secret, me),
  );
  await assert.rejects(
    client.send(new RunMicrovmCommand({ imageIdentifier: imageArn(realm, 'absent') })),
    denied('lambda:RunMicrovm', imageArn(realm, 'absent'), me),
  );
  await assert.rejects(client.send(new ListMicrovmsCommand({})), denied('lambda:ListMicrovms', '*', me));
  await assert.rejects(
    client.send(new ListMicrovmImagesCommand({})),
    denied('lambda:ListMicrovmImages', '*', me),
  );
  client.destroy();
});

test('a microVM becomes a version only of images that its key may add to', async () => {
  const committer = await key('committer', {
    Effect: 'Allow',
    Action: 'dormouse:CommitMicrovm',
    Resource: [web, imageArn(realm, 'web-*')],
  });
  const commit = (imageName?: string) =>
    extension('POST', `/dormouse/v1/microvms/${microvmId}/image-version`, { imageName }, committer);
  assert.equal((await commit()).status, 201);
  assert.equal((await commit('web-2')).status, 201);
  const refused = await commit('secret');
  assert.equal(refused.status, 403);
  assert.match(refused.text, /dormouse:CommitMicrovm on resource: .*:secret because/);
});

test('microVMs are judged by their image', async () => {
  const client = microvms(
    await key('viewer', { Effect: 'Allow', Action: 'lambda:GetMicrovm', Resource: imageArn(realm, 'w?b') }),
  );
  const microvmIdentifier = microvmId;
  assert.equal((await client.send(new GetMicrovmCommand({ microvmIdentifier }))).imageArn, web);
  await assert.rejects(
    client.send(
      new CreateMicrovmAuthTokenCommand({
        microvmIdentifier,
        expirationInMinutes: 5,
        allowedPorts: [{ port: 8080 }],
      }),
    ),
    denied('lambda:CreateMicrovmAuthToken', web, user('viewer')),
  );
  client.destroy();
});

test('running needs connectors and roles to be passed on', async () => {
  const run = { Effect: 'Allow', Action: 'lambda:RunMicrovm', Resource: '*' };
  const managed = `arn:aws:lambda:${realm.region}:aws:network-connector:aws-network-connector`;
  const without = microvms(await key('no-connector', run));
  await assert.rejects(
    without.send(new RunMicrovmCommand({ imageIdentifier: web })),
    denied('lambda:PassNetworkConnector', `${managed}:HTTP_INGRESS`, user('no-connector')),
  );
  without.destroy();

  const ingress = { ...passConnectors, Resource: `${managed}:HTTP_INGRESS` };
  const half = microvms(await key('no-egress', run, ingress));
  await assert.rejects(
    half.send(new RunMicrovmCommand({ imageIdentifier: web })),
    denied('lambda:PassNetworkConnector', `${managed}:INTERNET_EGRESS`, user('no-egress')),
  );
  half.destroy();

  const roleless = microvms(await key('no-role', run, passConnectors));
  await assert.rejects(
    roleless.send(new RunMicrovmCommand({ imageIdentifier: web, executionRoleArn: buildRoleArn })),
    denied('iam:PassRole', buildRoleArn, user('no-role')),
  );
  roleless.destroy();
});

test('an explicit deny wins and says so', async () => {
  const client = microvms(
    await key(
      'almost-all',
      { Effect: 'Allow', Action: '*', Resource: '*' },
      { Effect: 'Deny', NotAction: 'lambda:List*', Resource: imageArn(realm, 'secret') },
    ),
  );
  await client.send(new ListMicrovmImagesCommand({}));
  await assert.rejects(
    client.send(new GetMicrovmImageCommand({ imageIdentifier: imageArn(realm, 'secret') })),
    {
      name: 'AccessDeniedException',
      message: `User: ${user('almost-all')} is not authorized to perform: lambda:GetMicrovmImage on resource: ${imageArn(realm, 'secret')} with an explicit deny in an identity-based policy`,
    },
  );
  client.destroy();
});

test('conditions see tags of the resource and of the request', async () => {
  const client = microvms(
    await key(
      'web-team',
      {
        Effect: 'Allow',
        Action: ['lambda:GetMicrovmImage', 'lambda:GetMicrovm', 'lambda:UntagResource', 'lambda:TagResource'],
        Resource: '*',
        Condition: {
          StringEquals: { 'aws:ResourceTag/team': 'web' },
          'ForAllValues:StringNotEquals': { 'aws:TagKeys': 'team' },
        },
      },
      {
        Effect: 'Allow',
        Action: 'lambda:CreateMicrovmImage',
        Resource: '*',
        Condition: {
          StringEquals: { 'aws:RequestTag/team': 'web' },
          ArnLike: { 'aws:PrincipalArn': user('web-*') },
        },
      },
      { Effect: 'Allow', Action: 'iam:PassRole', Resource: buildRoleArn },
      { Effect: 'Allow', Action: 's3:GetObject', Resource: `arn:aws:s3:::${bucket}/tagged.zip` },
    ),
  );
  const refused = { name: 'AccessDeniedException' };
  await client.send(new GetMicrovmImageCommand({ imageIdentifier: web }));
  await client.send(new GetMicrovmCommand({ microvmIdentifier: microvmId }));
  const other = new GetMicrovmImageCommand({ imageIdentifier: imageArn(realm, 'secret') });
  await assert.rejects(client.send(other), refused);
  await client.send(new TagResourceCommand({ Resource: web, Tags: { stage: 'test' } }));
  await assert.rejects(client.send(new TagResourceCommand({ Resource: web, Tags: { team: 'x' } })), refused);
  await assert.rejects(client.send(new UntagResourceCommand({ Resource: web, TagKeys: ['team'] })), refused);
  await assert.rejects(client.send(new CreateMicrovmImageCommand(image('untagged'))), refused);
  await client.send(new CreateMicrovmImageCommand({ ...image('tagged'), tags: { team: 'web' } }));
  client.destroy();
});

test('an image is built of an artifact that its maker or the build role may read', async () => {
  const statements = [
    { Effect: 'Allow', Action: 'lambda:*', Resource: '*' },
    { Effect: 'Allow', Action: 'iam:PassRole', Resource: '*' },
  ];
  const own = { Effect: 'Allow', Action: 's3:GetObject', Resource: `arn:aws:s3:::${bucket}/mine.zip` };
  const client = microvms(await key('maker', ...statements, own));
  const missing = denied('s3:GetObject', `arn:aws:s3:::${bucket}/theirs.zip`, user('maker'));
  await client.send(new CreateMicrovmImageCommand(image('mine')));
  await assert.rejects(client.send(new CreateMicrovmImageCommand(image('theirs'))), missing);
  const { name: _, ...theirs } = image('theirs');
  const update = new UpdateMicrovmImageCommand({ ...theirs, imageIdentifier: imageArn(realm, 'mine') });
  await assert.rejects(client.send(update), missing);

  const policy = JSON.stringify({
    Version: '2012-10-17',
    Statement: { Effect: 'Allow', Action: 's3:GetObject', Resource: `arn:aws:s3:::${bucket}/*` },
  });
  const role = buildRoleArn.slice(buildRoleArn.lastIndexOf('/') + 1);
  assert.equal((await extension('PUT', `/dormouse/v1/roles/${role}`, { policy })).status, 200);
  await client.send(new CreateMicrovmImageCommand(image('theirs')));
  assert.equal((await extension('DELETE', `/dormouse/v1/roles/${role}`)).status, 204);
  client.destroy();
});

test('sessions keep the policy of their key, and end with it', async () => {
  const role = `arn:aws:iam::${realm.accountId}:role/worker`;
  const parent = await key(
    'assumer',
    { Effect: 'Allow', Action: 'lambda:GetMicrovmImage', Resource: web },
    { Effect: 'Allow', Action: 'sts:AssumeRole', Resource: role },
  );
  const assume = { Action: 'AssumeRole', RoleArn: role, RoleSessionName: 'me' };
  const refused = await sts({ ...assume, RoleArn: `${role}-2` }, parent);
  assert.equal(refused.value('Code'), 'AccessDenied');
  assert.match(refused.value('Message'), /sts:AssumeRole on resource: .*worker-2 because no identity-based/);

  const first = (await sts(assume, parent)).session;
  const sessions = [
    first,
    (await sts({ Action: 'GetSessionToken' }, parent)).session,
    (await sts(assume, first)).session,
  ];
  const get = (name: string) => new GetMicrovmImageCommand({ imageIdentifier: imageArn(realm, name) });
  for (const session of sessions) {
    const client = microvms(session);
    await client.send(get('web'));
    await assert.rejects(client.send(get('secret')), { name: 'AccessDeniedException' });
    client.destroy();
  }
  assert.equal((await extension('POST', '/dormouse/v1/keys/assumer/rotate')).status, 200);
  for (const session of [parent, ...sessions]) {
    const client = microvms(session);
    await assert.rejects(client.send(get('web')), {
      name: 'UnrecognizedClientException',
      message: 'The security token included in the request is invalid.',
    });
    client.destroy();
  }
});

test('unknown keys get nowhere', async () => {
  const client = microvms({ accessKeyId: 'AKIANOBODY', secretAccessKey: 'nothing' });
  await assert.rejects(client.send(new ListMicrovmsCommand({})), (error) => {
    const { name, $metadata } = error as { name: string; $metadata: { httpStatusCode: number } };
    assert.deepEqual([name, $metadata.httpStatusCode], ['UnrecognizedClientException', 403]);
    return true;
  });
  client.destroy();
});

test('keys are managed by who may, and tell their secret once', async () => {
  const manager = await key('manager', { Effect: 'Allow', Action: 'dormouse:*Keys', Resource: '*' });
  const policy = JSON.stringify({
    Version: '2012-10-17',
    Statement: { Effect: 'Allow', Action: 'lambda:*', Resource: '*' },
  });
  const made = await extension('POST', '/dormouse/v1/keys', { keyName: 'made', policy }, manager);
  assert.equal(made.status, 201);
  const list = await extension('GET', '/dormouse/v1/keys', undefined, manager);
  const listed = (list.json.keys as readonly Json[]).find(({ keyName }) => keyName === 'made');
  assert.deepEqual({ ...listed, secretAccessKey: made.json.secretAccessKey }, made.json);
  assert.ok(!list.text.includes('secretAccessKey'));
  assert.ok(!list.text.includes(credentials.secretAccessKey));

  const rotated = await extension('POST', '/dormouse/v1/keys/made/rotate', undefined, manager);
  assert.equal(rotated.status, 200);
  const newKey = {
    accessKeyId: String(rotated.json.accessKeyId),
    secretAccessKey: String(rotated.json.secretAccessKey),
  };
  const client = microvms(newKey);
  await client.send(new ListMicrovmsCommand({}));
  for (const [method, path, body, action, resource] of [
    ['POST', '/dormouse/v1/keys', { keyName: 'x', policy }, 'CreateKeys', user('x')],
    ['GET', '/dormouse/v1/keys', undefined, 'ListKeys', '*'],
    ['POST', '/dormouse/v1/keys/made/rotate', undefined, 'RotateKeys', user('made')],
    ['DELETE', '/dormouse/v1/keys/made', undefined, 'DeleteKeys', user('made')],
    ['POST', `/dormouse/v1/microvms/${microvmId}/fork`, { count: 1 }, 'ForkMicrovm', web],
  ] as const) {
    const { status, json } = await extension(method, path, body, newKey);
    const expected = denied(`dormouse:${action}`, resource, user('made')).message;
    assert.deepEqual([status, json.message ?? json.Message], [403, expected]);
  }
  assert.equal((await extension('GET', '/dormouse/v1/server', undefined, newKey)).status, 200);
  assert.equal((await extension('DELETE', '/dormouse/v1/keys/made', undefined, manager)).status, 204);
  await assert.rejects(client.send(new ListMicrovmsCommand({})), { name: 'UnrecognizedClientException' });
  client.destroy();
});

test('refuses policies and names it does not understand', async () => {
  const create = async (keyName: string, policy: string) => {
    const { status, json } = await extension('POST', '/dormouse/v1/keys', { keyName, policy });
    return [status, json.message ?? json.Message];
  };
  assert.deepEqual(await create('bad', '{'), [400, 'Malformed policy document: the document is not JSON.']);
  const allow = { Effect: 'Allow', Action: '*', Resource: '*' };
  const policy = JSON.stringify({ Version: '2012-10-17', Statement: allow });
  assert.equal((await create('a/b', policy))[0], 400);
  assert.equal((await create('once', policy))[0], 201);
  assert.equal((await create('once', policy))[0], 409);
  assert.equal((await extension('DELETE', '/dormouse/v1/keys/absent')).status, 404);
});
