/** Quotas as Service Quotas tells them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SigningCredentials, signRequest } from '../../src/api/sigv4/sign.ts';
import { credentials, realm, startServer, type TestServer } from './server.ts';

async function ask(
  server: TestServer,
  action: string,
  input: object,
  signer: SigningCredentials = credentials,
): Promise<Record<string, unknown>> {
  const url = new URL(server.url);
  const body = JSON.stringify(input);
  const headers = signRequest(
    {
      method: 'POST',
      url,
      body,
      headers: {
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': `ServiceQuotasV20190624.${action}`,
      },
    },
    { credentials: signer, region: realm.region, service: 'servicequotas' },
  );
  const response = await fetch(url, { method: 'POST', headers, body });
  return (await response.json()) as Record<string, unknown>;
}

const quotaValue = ({ Quota }: Record<string, unknown>): unknown => (Quota as { Value: number }).Value;

test('quotas are those that are held, and the defaults those of the service', async (t) => {
  const server = await startServer('relaxed', { options: { rates: { RunMicrovm: 7 } } });
  t.after(() => server.close());
  const run = { ServiceCode: 'lambda', QuotaCode: 'L-535CA9B6' };
  assert.equal(quotaValue(await ask(server, 'GetServiceQuota', run)), 7);
  assert.equal(quotaValue(await ask(server, 'GetAWSDefaultServiceQuota', run)), 5);
  const memory = { ServiceCode: 'lambda', QuotaCode: 'L-CD1C0CC4' };
  assert.equal(quotaValue(await ask(server, 'GetServiceQuota', memory)), 65_536);
  assert.equal(quotaValue(await ask(server, 'GetAWSDefaultServiceQuota', memory)), 400);
  // Where the rate is not limited, there is no quota.
  const lifted = await ask(server, 'GetServiceQuota', { ...run, QuotaCode: 'L-90045317' });
  assert.equal(lifted.__type, 'NoSuchResourceException');

  const codes: string[] = [];
  let page: Record<string, unknown> = {};
  do {
    page = await ask(server, 'ListAWSDefaultServiceQuotas', {
      ServiceCode: 'lambda',
      MaxResults: 4,
      NextToken: page.NextToken,
    });
    codes.push(...(page.Quotas as { QuotaCode: string }[]).map(({ QuotaCode }) => QuotaCode));
  } while (page.NextToken !== undefined);
  assert.equal(codes.length, 6);
  assert.deepEqual(codes, codes.toSorted());
  assert.deepEqual(server.faults, []);
});

test('what is not there, not valid or not allowed is refused', async (t) => {
  const server = await startServer();
  t.after(() => server.close());
  const type = async (...request: Parameters<typeof ask> extends [unknown, ...infer Rest] ? Rest : never) =>
    (await ask(server, ...request)).__type;
  const get = { ServiceCode: 'lambda', QuotaCode: 'L-00000000' };
  assert.equal(await type('GetServiceQuota', get), 'NoSuchResourceException');
  assert.equal(await type('ListServiceQuotas', { ServiceCode: 'ec2' }), 'NoSuchResourceException');
  assert.equal(await type('ListServiceQuotas', {}), 'IllegalArgumentException');
  assert.equal(await type('RequestServiceQuotaIncrease', get), 'UnknownOperationException');
  const policy = {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: 'servicequotas:List*', Resource: '*' }],
  };
  const key = await server.services.accessKeys?.create('reader', JSON.stringify(policy));
  assert.ok(key);
  assert.equal(await type('GetServiceQuota', get, key), 'AccessDeniedException');
  assert.equal(await type('ListServices', {}, key), undefined);
  assert.deepEqual(server.faults, []);
});
