/** Services that the server does not have say so in their own protocols. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { decodeCbor } from '../../src/api/cbor/decode.ts';
import { signRequest } from '../../src/api/sigv4/sign.ts';
import { credentials, realm, startServer, type TestServer } from './server.ts';

let server: TestServer;

before(async () => {
  server = await startServer();
});

after(async () => {
  await server.close();
  assert.deepEqual(server.faults, []);
});

async function send(
  service: string,
  {
    method = 'POST',
    path = '/',
    body = '',
    headers = {} as Record<string, string>,
    region = realm.region as string,
  },
) {
  const url = new URL(path, server.url);
  const signed = signRequest({ method, url, body, headers }, { credentials, region, service });
  const response = await fetch(url, { method, headers: signed, body: method === 'GET' ? null : body });
  const bytes = Buffer.from(await response.arrayBuffer());
  return { status: response.status, headers: response.headers, bytes, text: bytes.toString() };
}

const words = (service: string): string =>
  `${service} is not offered here. This server answers for s3, sts, iam, lambda, logs`;

test('JSON with a target', async () => {
  const headers = { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'AmazonSSM.GetParameter' };
  const { status, text, headers: answered } = await send('ssm', { body: '{"Name":"a"}', headers });
  assert.deepEqual([status, answered.get('content-type')], [400, 'application/x-amz-json-1.1']);
  const error = JSON.parse(text) as Record<string, string>;
  assert.equal(error.__type, 'UnknownOperationException');
  assert.ok(error.message?.startsWith(words('ssm')), text);
});

test('forms, and those of EC2', async () => {
  const headers = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' };
  const sns = await send('sns', { body: 'Action=ListTopics', headers });
  assert.equal(sns.status, 400);
  assert.match(
    sns.text,
    /<ErrorResponse><Error><Type>Sender<\/Type><Code>InvalidAction<\/Code><Message>sns is not/,
  );
  const ec2 = await send('ec2', { body: 'Action=DescribeVpcs', headers });
  assert.match(ec2.text, /<Response><Errors><Error>.*<Code>InvalidAction<\/Code>.*<\/Errors><RequestID>/);
  const inQuery = await send('sns', { method: 'GET', path: '/?Action=ListTopics' });
  assert.match(inQuery.text, /<Code>InvalidAction<\/Code>/);
});

test('XML and JSON of resources, also signed for the region of global services', async () => {
  const xml = await send('cloudfront', {
    method: 'GET',
    path: '/2020-05-31/distribution',
    region: 'us-east-1',
  });
  assert.match(xml.text, /<ErrorResponse><Error>.*<Message>cloudfront is not offered here\./);
  const json = await send('apigateway', { method: 'GET', path: '/restapis', region: 'eu-west-1' });
  assert.deepEqual([json.status, json.headers.get('x-amzn-errortype')], [404, 'UnknownOperationException']);
  assert.ok((JSON.parse(json.text) as { message: string }).message.startsWith(words('apigateway')));
});

test('CBOR', async () => {
  const headers = { 'content-type': 'application/cbor', 'smithy-protocol': 'rpc-v2-cbor' };
  const {
    status,
    bytes,
    headers: answered,
  } = await send('arc-zonal-shift', {
    path: '/service/Any/operation/List',
    body: '\xa0',
    headers,
  });
  assert.deepEqual([status, answered.get('smithy-protocol')], [400, 'rpc-v2-cbor']);
  const error = decodeCbor(bytes) as Record<string, string>;
  assert.ok(error.message?.startsWith(words('arc-zonal-shift')));
});

test('a request of the service that is signed for another one is still a wrong signature', async () => {
  const { status, text } = await send('execute-api', { method: 'GET', path: '/2025-09-09/microvms' });
  assert.equal(status, 403);
  assert.match(text, /Credential should be scoped to correct service: 'lambda'/);
});
