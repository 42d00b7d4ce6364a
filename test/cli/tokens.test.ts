import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import {
  CreateMicrovmAuthTokenCommand,
  GetMicrovmCommand,
  LambdaMicrovmsClient,
} from '@aws-sdk/client-lambda-microvms';
import { credentials } from '../api/server.ts';
import { callEndpoint } from '../support/endpoint-client.ts';
import { startCliFixture } from './fixture.ts';

test('tokens rotate ends the tokens made so far when it is told to, and not without', async (t) => {
  const fixture = await startCliFixture((_request, response) => response.end('ok'));
  t.after(() => fixture.close());
  const microvmIdentifier = await fixture.launch('rotated');
  const client = new LambdaMicrovmsClient({ endpoint: fixture.server.url, region: 'us-east-1', credentials });
  t.after(() => client.destroy());
  const { endpoint } = await client.send(new GetMicrovmCommand({ microvmIdentifier }));
  const { authToken } = await client.send(
    new CreateMicrovmAuthTokenCommand({
      microvmIdentifier,
      expirationInMinutes: 5,
      allowedPorts: [{ port: 8080 }],
    }),
  );
  const token = authToken?.['X-aws-proxy-auth'];
  const ready = { caCertificatePath: path.join(fixture.dataDirectory, 'ca.pem') };
  const statusOf = async (): Promise<number> => (await callEndpoint(ready, endpoint ?? '', { token })).status;

  assert.equal(await statusOf(), 200);
  assert.equal((await fixture.dormouse('tokens', 'rotate')).code, 0);
  assert.equal(await statusOf(), 200);
  const revoked = await fixture.dormouse('tokens', 'rotate', '--revoke', '--json');
  assert.deepEqual(JSON.parse(revoked.stdout), { revoked: true });
  assert.equal(await statusOf(), 403);
  const fresh = await fixture.dormouse('curl', microvmIdentifier);
  assert.deepEqual([fresh.code, fresh.stdout], [0, 'ok']);
});
