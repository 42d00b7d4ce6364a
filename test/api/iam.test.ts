/** Roles as clients of IAM make them, and what they then may do. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { LambdaMicrovmsClient, ListMicrovmsCommand } from '@aws-sdk/client-lambda-microvms';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { type SigningCredentials, signRequest } from '../../src/api/sigv4/sign.ts';
import { raw } from './raw.ts';
import { credentials, realm, startServer, type TestServer } from './server.ts';

let server: TestServer;

before(async () => {
  server = await startServer();
});

after(async () => {
  await server.close();
  assert.deepEqual(server.faults, []);
});

async function iam(
  Action: string,
  form: Record<string, string> = {},
  signer: SigningCredentials = credentials,
  region: string = realm.region,
) {
  const url = new URL(server.url);
  const body = String(new URLSearchParams({ Action, ...form, Version: '2010-05-08' }));
  const headers = signRequest({ method: 'POST', url, body }, { credentials: signer, region, service: 'iam' });
  const response = await fetch(url, { method: 'POST', headers, body });
  const text = await response.text();
  const values = (name: string) =>
    [...text.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, 'g'))].map(([, value]) => value);
  return { status: response.status, text, values, code: values('Code')[0] };
}

const AssumeRolePolicyDocument = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' }],
});
const allow = (Action: string): string =>
  JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action, Resource: '*' }] });

/** Whether a session of the role may list microVMs. */
async function mayList(RoleArn: string): Promise<boolean> {
  const sts = new STSClient({ ...server.client, maxAttempts: 1 });
  const { Credentials } = await sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: 'me' }));
  const client = new LambdaMicrovmsClient({
    ...server.client,
    maxAttempts: 1,
    credentials: {
      accessKeyId: Credentials?.AccessKeyId ?? '',
      secretAccessKey: Credentials?.SecretAccessKey ?? '',
      sessionToken: Credentials?.SessionToken ?? '',
    },
  });
  try {
    await client.send(new ListMicrovmsCommand());
    return true;
  } catch (error) {
    assert.equal((error as Error).name, 'AccessDeniedException');
    return false;
  } finally {
    client.destroy();
    sts.destroy();
  }
}

test('a role is made, described, changed and deleted', async () => {
  const RoleName = 'build';
  assert.deepEqual((await iam('GetRole', { RoleName })).status, 404);
  assert.equal((await iam('GetRole', { RoleName })).code, 'NoSuchEntity');
  const made = await iam('CreateRole', {
    RoleName,
    AssumeRolePolicyDocument,
    Path: '/service/',
    Description: 'a <b>',
    'Tags.member.1.Key': 'team',
    'Tags.member.1.Value': 'x',
  });
  assert.equal(made.status, 200, made.text);
  assert.deepEqual(made.values('Arn'), [`arn:aws:iam::${realm.accountId}:role/service/build`]);
  assert.match(made.values('RoleId')[0] ?? '', /^AROA[A-Z2-7]{17}$/);
  assert.deepEqual(
    made.values('AssumeRolePolicyDocument').map((text) => decodeURIComponent(text ?? '')),
    [AssumeRolePolicyDocument],
  );
  const again = await iam('CreateRole', { RoleName, AssumeRolePolicyDocument });
  assert.deepEqual([again.status, again.code], [409, 'EntityAlreadyExists']);
  await iam('UpdateRole', { RoleName, Description: 'changed', MaxSessionDuration: '7200' });
  await iam('TagRole', { RoleName, 'Tags.member.1.Key': 'more', 'Tags.member.1.Value': '' });
  await iam('UntagRole', { RoleName, 'TagKeys.member.1': 'team' });
  const found = await iam('GetRole', { RoleName });
  assert.deepEqual(
    [found.values('Description'), found.values('MaxSessionDuration'), found.values('Key')],
    [['changed'], ['7200'], ['more']],
  );
  const trust = { RoleName, PolicyDocument: '{"Statement":[]}' };
  assert.equal((await iam('UpdateAssumeRolePolicy', trust)).status, 200);
  assert.equal(
    (await iam('UpdateAssumeRolePolicy', { ...trust, PolicyDocument: '{' })).code,
    'MalformedPolicyDocument',
  );
  await iam('PutRolePolicy', { RoleName, PolicyName: 'p', PolicyDocument: allow('s3:GetObject') });
  const kept = await iam('DeleteRole', { RoleName });
  assert.deepEqual([kept.status, kept.code], [409, 'DeleteConflict']);
  await iam('DeleteRolePolicy', { RoleName, PolicyName: 'p' });
  assert.equal((await iam('DeleteRole', { RoleName })).status, 200);
  assert.equal((await iam('DeleteRole', { RoleName })).code, 'NoSuchEntity');
});

test('policies of a role decide what its sessions may do, from the moment they change', async () => {
  const RoleName = 'worker';
  const RoleArn = `arn:aws:iam::${realm.accountId}:role/${RoleName}`;
  await iam('CreateRole', { RoleName, AssumeRolePolicyDocument });
  assert.equal(await mayList(RoleArn), false);
  await iam('PutRolePolicy', { RoleName, PolicyName: 'logs', PolicyDocument: allow('logs:*') });
  await iam('PutRolePolicy', { RoleName, PolicyName: 'list', PolicyDocument: allow('lambda:ListMicrovms') });
  assert.equal(await mayList(RoleArn), true);
  const names = await iam('ListRolePolicies', { RoleName });
  assert.deepEqual(names.values('member'), ['list', 'logs']);
  const document = await iam('GetRolePolicy', { RoleName, PolicyName: 'list' });
  assert.equal(decodeURIComponent(document.values('PolicyDocument')[0] ?? ''), allow('lambda:ListMicrovms'));
  assert.equal((await iam('GetRolePolicy', { RoleName, PolicyName: 'constructor' })).code, 'NoSuchEntity');
  assert.equal((await iam('DeleteRolePolicy', { RoleName, PolicyName: 'constructor' })).code, 'NoSuchEntity');
  await iam('DeleteRolePolicy', { RoleName, PolicyName: 'list' });
  assert.equal(await mayList(RoleArn), false);

  const PolicyArn = 'arn:aws:iam::aws:policy/AdministratorAccess';
  await iam('AttachRolePolicy', { RoleName, PolicyArn });
  assert.equal(await mayList(RoleArn), true);
  const attached = await iam('ListAttachedRolePolicies', { RoleName });
  assert.deepEqual(attached.values('PolicyName'), ['AdministratorAccess']);
  await iam('DetachRolePolicy', { RoleName, PolicyArn });
  assert.equal((await iam('DetachRolePolicy', { RoleName, PolicyArn })).code, 'NoSuchEntity');
  assert.equal(await mayList(RoleArn), false);
});

test('what would not be held is refused: unknown policies, boundaries, conditions', async () => {
  const RoleName = 'refused';
  const boundary = { PermissionsBoundary: 'arn:aws:iam::aws:policy/ReadOnlyAccess' };
  const bounded = await iam('CreateRole', { RoleName, AssumeRolePolicyDocument, ...boundary });
  assert.equal(bounded.code, 'InvalidInput');
  await iam('CreateRole', { RoleName, AssumeRolePolicyDocument });
  for (const PolicyArn of [
    'arn:aws:iam::aws:policy/ReadOnlyAccess',
    `arn:aws:iam::${realm.accountId}:policy/mine`,
    'arn:aws:iam::aws:policy/constructor',
  ]) {
    const { status, code } = await iam('AttachRolePolicy', { RoleName, PolicyArn });
    assert.deepEqual([status, code], [404, 'NoSuchEntity'], PolicyArn);
  }
  const PolicyDocument = allow('s3:*').replace('}]', ',"Condition":{"StringEquals":{"aws:Unknown":"a"}}}]');
  const put = await iam('PutRolePolicy', { RoleName, PolicyName: 'p', PolicyDocument });
  assert.deepEqual([put.status, put.code], [400, 'MalformedPolicyDocument']);
  const many = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] };
  const padded = JSON.stringify(many).padEnd(6000);
  await iam('PutRolePolicy', { RoleName, PolicyName: 'a', PolicyDocument: padded });
  const second = await iam('PutRolePolicy', { RoleName, PolicyName: 'b', PolicyDocument: padded });
  assert.equal(second.code, 'LimitExceeded');
  assert.deepEqual((await iam('ListRolePolicies', { RoleName })).values('member'), ['a']);
  assert.equal((await iam('CreateUser', { UserName: 'x' })).code, 'InvalidAction');
  assert.equal((await iam('GetRole', { RoleName: 'a b' })).code, 'ValidationError');
  const nul = await iam('UpdateRole', { RoleName, Description: 'a\0b' });
  assert.equal(nul.code, 'ValidationError');
});

test('a policy of the own interface and those of IAM are the same', async () => {
  const put = await raw(server, 'PUT', '/dormouse/v1/roles/both', { policy: allow('lambda:ListMicrovms') });
  assert.equal(put.status, 200);
  const RoleName = 'both';
  assert.equal((await iam('GetRole', { RoleName })).status, 200);
  assert.deepEqual((await iam('ListRolePolicies', { RoleName })).values('member'), ['dormouse']);
  // A role that nobody made with a path has any.
  const RoleArn = `arn:aws:iam::${realm.accountId}:role/any/both`;
  assert.equal(await mayList(RoleArn), true);
  await iam('PutRolePolicy', { RoleName, PolicyName: 'more', PolicyDocument: allow('s3:GetObject') });
  assert.equal(await mayList(RoleArn), true);
  const listed = async () => {
    const { json } = await raw(server, 'GET', '/dormouse/v1/roles');
    const { roles } = json as { roles: readonly { roleName: string; policy: string }[] };
    return roles.find(({ roleName }) => roleName === RoleName)?.policy;
  };
  assert.match((await listed()) ?? '', /s3:GetObject.*lambda:ListMicrovms/);
  await raw(server, 'PUT', '/dormouse/v1/roles/both', { policy: allow('logs:*') });
  assert.equal(await listed(), allow('logs:*'));
  assert.equal(await mayList(RoleArn), false);
  assert.equal((await raw(server, 'DELETE', '/dormouse/v1/roles/both')).status, 204);
  assert.equal((await iam('GetRole', { RoleName })).code, 'NoSuchEntity');
});

test('a role with a path is not meant by another path', async () => {
  const RoleName = 'admin';
  await iam('CreateRole', { RoleName, AssumeRolePolicyDocument, Path: '/top/' });
  await iam('PutRolePolicy', { RoleName, PolicyName: 'all', PolicyDocument: allow('*') });
  const arnOf = (path: string): string => `arn:aws:iam::${realm.accountId}:role${path}${RoleName}`;
  const { rolePolicies } = server.services;
  assert.notEqual(await rolePolicies.find(arnOf('/top/')), undefined);
  assert.equal(await rolePolicies.find(arnOf('/dev/')), undefined);
  assert.deepEqual(await rolePolicies.permissionsOf(arnOf('/')), { statements: [] });
});

test('roles are listed in pages and by path', async () => {
  for (const name of ['p1', 'p2', 'p3']) {
    await iam('CreateRole', { RoleName: name, AssumeRolePolicyDocument, Path: '/pages/' });
  }
  const names: (string | undefined)[] = [];
  let Marker: string | undefined;
  do {
    const page = await iam('ListRoles', {
      PathPrefix: '/pages/',
      MaxItems: '2',
      ...(Marker === undefined ? {} : { Marker }),
    });
    names.push(...page.values('RoleName'));
    [Marker] = page.values('Marker');
  } while (Marker !== undefined);
  assert.deepEqual(names, ['p1', 'p2', 'p3']);
});

test('each needs its own action on the role, whatever region it is signed for', async () => {
  const role = (name: string): string => `arn:aws:iam::${realm.accountId}:role/${name}`;
  const key = await server.services.accessKeys?.create(
    'role-maker',
    JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        { Effect: 'Allow', Action: ['iam:CreateRole', 'iam:GetRole'], Resource: role('dev/*') },
        { Effect: 'Deny', Action: 'iam:PutRolePolicy', Resource: '*' },
      ],
    }),
  );
  assert.ok(key);
  const make = { AssumeRolePolicyDocument, RoleName: 'mine' };
  const refused = await iam('CreateRole', make, key);
  assert.deepEqual([refused.status, refused.code], [403, 'AccessDenied']);
  assert.equal((await iam('CreateRole', { ...make, Path: '/dev/' }, key)).status, 200);
  assert.equal((await iam('GetRole', { RoleName: 'mine' }, key)).status, 200);
  assert.equal((await iam('GetRole', { RoleName: 'admin' }, key)).code, 'AccessDenied');
  const put = { RoleName: 'mine', PolicyName: 'p', PolicyDocument: allow('*') };
  assert.equal((await iam('PutRolePolicy', put, key)).code, 'AccessDenied');
  assert.equal((await iam('ListRoles', {}, key)).code, 'AccessDenied');
  const other = await iam('ListRoles', {}, credentials, 'eu-west-1');
  assert.equal(other.code, 'SignatureDoesNotMatch');

  const elsewhere = await startServer('relaxed', {
    options: { realm: { ...realm, region: 'eu-central-1' } },
  });
  const here = server;
  server = elsewhere;
  try {
    for (const region of ['us-east-1', 'eu-central-1']) {
      assert.equal((await iam('ListRoles', {}, credentials, region)).status, 200, region);
    }
  } finally {
    server = here;
    await elsewhere.close();
  }
});
