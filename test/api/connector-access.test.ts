import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { LambdaMicrovmsClient, RunMicrovmCommand } from '@aws-sdk/client-lambda-microvms';
import { type SigningCredentials, signRequest } from '../../src/api/sigv4/sign.ts';
import { imageArn, managedBaseImageArn } from '../../src/model/arn.ts';
import { raw } from './raw.ts';
import { realm, startServer, type TestServer } from './server.ts';

/** What access keys may do with connectors, egress policies and roles. */

const connectors = '/2026-04-04/network-connectors';
const app = imageArn(realm, 'app');
let server: TestServer;
let arns: Record<'red' | 'blue', string>;

before(async () => {
  server = await startServer();
  assert.equal((await raw(server, 'PUT', '/dormouse/v1/egress-policies/subnet-1', {})).status, 200);
  arns = { red: await connector('red'), blue: await connector('blue') };
  await server.services.images.create({
    name: 'app',
    baseImageArn: managedBaseImageArn(realm.region),
    buildRoleArn: `arn:aws:iam::${realm.accountId}:role/build`,
    codeArtifact: { uri: 's3://b/k' },
  });
});

after(async () => {
  await server.close();
  assert.deepEqual(server.faults, []);
});

/** A connector with its team as a tag. */
async function connector(team: string): Promise<string> {
  const { json } = await raw(server, 'POST', connectors, {
    Name: team,
    ClientToken: team,
    OperatorRole: `arn:aws:iam::${realm.accountId}:role/operator`,
    Tags: { team },
    Configuration: {
      VpcEgressConfiguration: {
        SubnetIds: ['subnet-1'],
        NetworkProtocol: 'IPv4',
        AssociatedComputeResourceTypes: ['MicroVm'],
      },
    },
  });
  return (json as { Arn: string }).Arn;
}

async function keyWith(keyName: string, ...statements: readonly object[]): Promise<SigningCredentials> {
  const policy = JSON.stringify({ Version: '2012-10-17', Statement: statements });
  const { status, json } = await raw(server, 'POST', '/dormouse/v1/keys', { keyName, policy });
  assert.equal(status, 201);
  return json as SigningCredentials;
}

async function statusOf(
  signer: SigningCredentials,
  method: string,
  path: string,
  body?: object,
): Promise<number> {
  const url = new URL(path, server.url);
  const text = body === undefined ? undefined : JSON.stringify(body);
  const headers = signRequest(
    { method, url, body: text },
    { credentials: signer, region: realm.region, service: 'lambda' },
  );
  return (await fetch(url, { method, headers, body: text ?? null })).status;
}

const ofRed = { StringEquals: { 'aws:ResourceTag/team': 'red' } };

test('connectors are read, changed and passed on as their tags allow', async () => {
  const key = await keyWith(
    'red',
    {
      Effect: 'Allow',
      Action: ['lambda:GetNetworkConnector', 'lambda:DeleteNetworkConnector'],
      Resource: '*',
      Condition: ofRed,
    },
    { Effect: 'Allow', Action: 'lambda:PassNetworkConnector', Resource: '*', Condition: ofRed },
    {
      Effect: 'Allow',
      Action: 'lambda:PassNetworkConnector',
      Resource: 'arn:aws:lambda:*:aws:network-connector:*',
    },
    { Effect: 'Allow', Action: 'lambda:RunMicrovm', Resource: app },
  );
  assert.equal(await statusOf(key, 'GET', `${connectors}/red`), 200);
  assert.equal(await statusOf(key, 'GET', `${connectors}/blue`), 403);
  assert.equal(await statusOf(key, 'GET', connectors), 403);
  assert.equal(await statusOf(key, 'DELETE', `${connectors}/blue`), 403);

  const { accessKeyId, secretAccessKey } = key;
  const client = new LambdaMicrovmsClient({
    ...server.client,
    credentials: { accessKeyId, secretAccessKey },
  });
  const run = (arn: string) =>
    client.send(new RunMicrovmCommand({ imageIdentifier: app, egressNetworkConnectors: [arn] }));
  assert.deepEqual((await run(arns.red)).egressNetworkConnectors, [arns.red]);
  await assert.rejects(run(arns.blue), {
    name: 'AccessDeniedException',
    message: new RegExp(`lambda:PassNetworkConnector on resource: ${arns.blue} because`),
  });
  assert.equal(await statusOf(key, 'DELETE', `${connectors}/red`), 202);
});

test("what is this server's own no policy for the service gives away", async () => {
  const all = await keyWith('all', {
    Effect: 'Allow',
    Action: ['lambda:*', 'iam:*', 'sts:*'],
    Resource: '*',
  });
  const policy = '/dormouse/v1/egress-policies/sg-web';
  const role = '/dormouse/v1/roles/app';
  const document = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] };
  const roleBody = { policy: JSON.stringify(document) };
  assert.equal(await statusOf(all, 'PUT', policy, {}), 403);
  assert.equal(await statusOf(all, 'PUT', role, roleBody), 403);

  const own = await keyWith(
    'own',
    { Effect: 'Allow', Action: 'dormouse:*EgressPolic*', Resource: 'arn:aws:lambda:*:*:egress-policy:sg-*' },
    {
      Effect: 'Allow',
      Action: 'dormouse:PutRolePolicy',
      Resource: `arn:aws:iam::${realm.accountId}:role/app`,
    },
  );
  assert.equal(await statusOf(own, 'PUT', policy, {}), 200);
  assert.equal(await statusOf(own, 'PUT', '/dormouse/v1/egress-policies/subnet-1', {}), 403);
  assert.equal(await statusOf(own, 'DELETE', policy), 204);
  assert.equal(await statusOf(own, 'PUT', role, roleBody), 200);
  assert.equal(await statusOf(own, 'PUT', '/dormouse/v1/roles/other', roleBody), 403);
});
