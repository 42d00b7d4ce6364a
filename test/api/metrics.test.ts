import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { type TestContext, test } from 'node:test';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { parseMetrics } from '../../src/telemetry/metrics-for-test.ts';
import { raw } from './raw.ts';
import { startServer, type TestServer } from './server.ts';

type Access = 'open' | 'signed' | 'off';

async function start(context: TestContext, metricsAccess: Access): Promise<TestServer> {
  const metrics = new Metrics();
  metrics.watchProcess();
  const server = await startServer('relaxed', { services: { metrics }, options: { metricsAccess } });
  context.after(() => server.close());
  return server;
}

test('anyone reads open metrics, which count the requests by what they were', async (context) => {
  const server = await start(context, 'open');
  await raw(server, 'GET', '/2025-09-09/microvms');
  await raw(server, 'GET', '/2025-09-09/microvms');
  await raw(server, 'GET', '/2025-09-09/microvms/microvm-none');
  await raw(server, 'GET', '/', undefined, 's3');
  await raw(server, 'GET', '/', undefined, 'ec2');
  await fetch(`${server.url}/wp-admin/${'x'.repeat(50)}`);
  await raw(server, 'GET', '/dormouse/v1/events?follow=0');
  const response = await fetch(`${server.url}/metrics`);
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  const samples = parseMetrics(await response.text());
  const count = (service: string, operation: string, status: number) =>
    samples.get(
      `dormouse_api_requests_total{service="${service}",operation="${operation}",status="${status}"}`,
    );
  assert.equal(count('lambda', 'ListMicrovms', 200), 2);
  assert.equal(count('lambda', 'GetMicrovm', 404), 1);
  assert.equal(count('s3', 'ListAllMyBuckets', 200), 1);
  assert.equal(count('other', 'unknown', 404), 1);
  assert.equal(count('none', 'unknown', 404), 1);
  const timed = (operation: string) =>
    samples.get(`dormouse_api_request_duration_seconds_count{service="lambda",operation="${operation}"}`);
  assert.equal(timed('ListMicrovms'), 2);
  assert.equal(timed('StreamEvents'), undefined);
  for (const name of [
    'process_resident_memory_bytes',
    'process_cpu_seconds_total',
    'nodejs_eventloop_lag_seconds',
  ]) {
    assert.ok((samples.get(name) ?? -1) >= 0, name);
  }
});

test('signed metrics are for those who sign, and there is a way to have none', async (context) => {
  const signed = await start(context, 'signed');
  const refused = await fetch(`${signed.url}/metrics`);
  assert.equal(refused.status, 403);
  assert.match(await refused.text(), /\/dormouse\/v1\/metrics/);
  assert.equal((await fetch(`${signed.url}/dormouse/v1/metrics`)).status, 403);
  const answer = await raw(signed, 'GET', '/dormouse/v1/metrics');
  assert.equal(answer.status, 200);
  assert.ok(parseMetrics(answer.text).size > 10);
  const off = await start(context, 'off');
  assert.equal((await fetch(`${off.url}/metrics`)).status, 404);
  assert.equal((await raw(off, 'GET', '/dormouse/v1/metrics')).status, 501);
});

test('a name that a stranger has let lead here reads no metrics', async (context) => {
  const { url } = await start(context, 'open');
  const statusFor = async (host: string): Promise<number | undefined> => {
    const asked = http.get(`${url}/metrics`, { headers: { host } });
    const [response] = (await once(asked, 'response')) as [http.IncomingMessage];
    response.resume();
    return response.statusCode;
  };
  assert.equal(await statusFor('rebind.example:9090'), 421);
  assert.equal(await statusFor('localhost:9090'), 200);
});
