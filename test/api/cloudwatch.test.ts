/** What microVMs used, in the three protocols of CloudWatch. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { decodeCbor } from '../../src/api/cbor/decode.ts';
import { type CborValue, encodeCbor } from '../../src/api/cbor/encode.ts';
import { type SigningCredentials, signRequest } from '../../src/api/sigv4/sign.ts';
import { UsageHistory } from '../../src/microvms/usage-history.ts';
import { credentials, realm, startServer, type TestServer } from './server.ts';

const start = Date.UTC(2026, 0, 2);
const usage = new UsageHistory();
let server: TestServer;

before(async () => {
  server = await startServer('relaxed', { services: { usage } });
  for (const [minute, cpuSeconds] of [0, 6, 12, 42].entries()) {
    const one = { microvmId: 'microvm-1', memoryMib: 1024, cpuSeconds, residentBytes: 2 ** 29 };
    usage.record(start + minute * 60_000, [one]);
  }
});

after(async () => {
  await server.close();
  assert.deepEqual(server.faults, []);
});

async function send(
  path: string,
  body: string | Buffer,
  headers: Record<string, string>,
  signer: SigningCredentials = credentials,
) {
  const url = new URL(path, server.url);
  const signed = signRequest(
    { method: 'POST', url, body, headers },
    { credentials: signer, region: realm.region, service: 'monitoring' },
  );
  const response = await fetch(url, {
    method: 'POST',
    headers: signed,
    body: new Uint8Array(Buffer.from(body)),
  });
  return {
    status: response.status,
    headers: response.headers,
    bytes: Buffer.from(await response.arrayBuffer()),
  };
}

async function cbor(action: string, input: CborValue, signer?: SigningCredentials) {
  const { status, bytes, headers } = await send(
    `/service/GraniteServiceVersion20100801/operation/${action}`,
    encodeCbor(input),
    { 'content-type': 'application/cbor', 'smithy-protocol': 'rpc-v2-cbor' },
    signer,
  );
  assert.equal(headers.get('smithy-protocol'), 'rpc-v2-cbor');
  return { status, json: JSON.parse(JSON.stringify(decodeCbor(bytes))) as Record<string, unknown> };
}

const metric = {
  Namespace: 'AWS/LambdaMicroVMs',
  MetricName: 'CPUUtilization',
  Dimensions: [{ Name: 'MicrovmId', Value: 'microvm-1' }],
};
const range = { StartTime: start / 1000, EndTime: start / 1000 + 3600 };

test('statistics in CBOR, by period', async () => {
  const ask = { ...metric, ...range, Statistics: ['Average', 'Maximum', 'SampleCount'] };
  const { status, json } = await cbor('GetMetricStatistics', { ...ask, Period: 60 });
  assert.equal(status, 200);
  const at = (minute: number, value: number) => ({
    Timestamp: start / 1000 + minute * 60,
    Average: value,
    Maximum: value,
    SampleCount: 1,
    Unit: 'Percent',
  });
  assert.deepEqual(json, { Label: 'CPUUtilization', Datapoints: [at(1, 10), at(2, 10), at(3, 50)] });
  const whole = await cbor('GetMetricStatistics', { ...ask, Period: 3600 });
  const point = { Timestamp: start / 1000, Maximum: 50, SampleCount: 3, Unit: 'Percent' };
  assert.deepEqual(whole.json.Datapoints, [{ ...point, Average: 70 / 3 }]);
});

test('data of several metrics in JSON, latest first', async () => {
  const stat = (MetricName: string) => ({ Metric: { ...metric, MetricName }, Period: 60, Stat: 'Average' });
  const body = JSON.stringify({
    ...range,
    MetricDataQueries: [
      { Id: 'cpu', MetricStat: stat('CPUUtilization') },
      { Id: 'memory', Label: 'used', MetricStat: stat('MemoryUtilization') },
      { Id: 'none', MetricStat: stat('constructor') },
    ],
  });
  const { status, bytes } = await send('/', body, {
    'content-type': 'application/x-amz-json-1.0',
    'x-amz-target': 'GraniteServiceVersion20100801.GetMetricData',
  });
  assert.equal(status, 200, bytes.toString());
  const { MetricDataResults } = JSON.parse(bytes.toString()) as {
    MetricDataResults: { Id: string; Label: string; Values: number[]; Timestamps: number[] }[];
  };
  assert.deepEqual(
    MetricDataResults.map(({ Id, Label, Values }) => [Id, Label, Values]),
    [
      ['cpu', 'CPUUtilization', [50, 10, 10]],
      ['memory', 'used', [50, 50, 50]],
      ['none', 'constructor', []],
    ],
  );
  assert.equal(MetricDataResults[0]?.Timestamps[0], start / 1000 + 180);
});

test('statistics as a form, answered in XML', async () => {
  const form = new URLSearchParams({
    Action: 'GetMetricStatistics',
    Namespace: metric.Namespace,
    MetricName: metric.MetricName,
    'Dimensions.member.1.Name': 'MicrovmId',
    'Dimensions.member.1.Value': 'microvm-1',
    StartTime: new Date(start).toISOString(),
    EndTime: new Date(start + 3_600_000).toISOString(),
    Period: '3600',
    'Statistics.member.1': 'Maximum',
  });
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const { status, bytes } = await send('/', String(form), headers);
  assert.equal(status, 200, bytes.toString());
  assert.match(
    bytes.toString(),
    /<Datapoints><member><Timestamp>2026-01-02T00:00:00.000Z<\/Timestamp><Maximum>50<\/Maximum><Unit>Percent<\/Unit><\/member><\/Datapoints>/,
  );
  form.delete('Period');
  const refused = await send('/', String(form), headers);
  assert.deepEqual([refused.status, /<Code>MissingParameter</.test(refused.bytes.toString())], [400, true]);
});

test('what is not there has no data, and what is not valid or not allowed is refused', async () => {
  const ask = { ...metric, ...range, Period: 60, Statistics: ['Average'] };
  for (const change of [
    { Namespace: 'AWS/EC2' },
    { Dimensions: [{ Name: 'MicrovmId', Value: 'other' }] },
    { Dimensions: [] },
    { StartTime: range.StartTime - 7200, EndTime: range.StartTime },
  ]) {
    const { json } = await cbor('GetMetricStatistics', { ...ask, ...change });
    assert.deepEqual(json.Datapoints, [], JSON.stringify(change));
  }
  for (const change of [
    { Period: 61 },
    { Period: 0 },
    { Statistics: ['p99'] },
    { StartTime: range.EndTime },
    { Dimensions: 'x' },
    { MetricName: 5 },
  ]) {
    const { status, json } = await cbor('GetMetricStatistics', { ...ask, ...change });
    assert.deepEqual([status, json.__type], [400, 'InvalidParameterValue'], JSON.stringify(change));
  }
  assert.equal((await cbor('PutMetricData', {})).json.__type, 'InvalidAction');
  const policy = {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: 'cloudwatch:GetMetricData', Resource: '*' }],
  };
  const key = await server.services.accessKeys?.create('watcher', JSON.stringify(policy));
  assert.ok(key);
  const denied = await cbor('GetMetricStatistics', ask, key);
  assert.deepEqual([denied.status, denied.json.__type], [403, 'AccessDenied']);
});
