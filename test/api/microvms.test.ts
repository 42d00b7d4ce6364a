import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  ConflictException,
  CreateMicrovmAuthTokenCommand,
  CreateMicrovmImageCommand,
  CreateMicrovmShellAuthTokenCommand,
  GetMicrovmCommand,
  LambdaMicrovmsClient,
  paginateListMicrovms,
  ResourceNotFoundException,
  ResumeMicrovmCommand,
  RunMicrovmCommand,
  type RunMicrovmCommandInput,
  SuspendMicrovmCommand,
  TerminateMicrovmCommand,
  ValidationException,
} from '@aws-sdk/client-lambda-microvms';
import { clientTokenReused } from '../../src/errors.ts';
import { managedBaseImageArn, managedConnectorArn } from '../../src/model/arn.ts';
import { realm, startServer, type TestServer } from './server.ts';

let server: TestServer;
let client: LambdaMicrovmsClient;
let imageArn: string;

before(async () => {
  server = await startServer('aws');
  client = new LambdaMicrovmsClient({ ...server.client, maxAttempts: 1 });
  const image = await client.send(
    new CreateMicrovmImageCommand({
      name: 'demo',
      baseImageArn: managedBaseImageArn(realm.region),
      buildRoleArn: `arn:aws:iam::${realm.accountId}:role/build`,
      codeArtifact: { uri: 's3://bucket/demo.zip' },
    }),
  );
  assert(image.imageArn !== undefined);
  imageArn = image.imageArn;
});

after(async () => {
  client.destroy();
  await server.close();
  assert.deepEqual(server.faults, []);
});

async function run(input: Partial<RunMicrovmCommandInput> = {}): Promise<string> {
  const { microvmId } = await client.send(new RunMicrovmCommand({ imageIdentifier: imageArn, ...input }));
  assert(microvmId !== undefined);
  return microvmId;
}

test('runs a microVM and describes it', async () => {
  const idlePolicy = { maxIdleDurationSeconds: 60, suspendedDurationSeconds: 0, autoResumeEnabled: true };
  const started = await client.send(new RunMicrovmCommand({ imageIdentifier: imageArn, idlePolicy }));
  assert.equal(started.state, 'PENDING');
  const microvmIdentifier = started.microvmId;
  const { $metadata, ...found } = await client.send(new GetMicrovmCommand({ microvmIdentifier }));
  assert.equal($metadata.httpStatusCode, 200);
  assert.deepEqual(found, {
    microvmId: microvmIdentifier,
    state: 'RUNNING',
    endpoint: started.endpoint,
    imageArn,
    imageVersion: '1.0',
    idlePolicy,
    maximumDurationInSeconds: 28_800,
    startedAt: started.startedAt,
    ingressNetworkConnectors: [managedConnectorArn(realm.region, 'HTTP_INGRESS')],
    egressNetworkConnectors: [managedConnectorArn(realm.region, 'INTERNET_EGRESS')],
  });
});

test('suspends, resumes and terminates; a terminated one cannot be suspended', async () => {
  const microvmIdentifier = await run();
  const state = async () => (await client.send(new GetMicrovmCommand({ microvmIdentifier }))).state;
  await client.send(new SuspendMicrovmCommand({ microvmIdentifier }));
  assert.equal(await state(), 'SUSPENDED');
  await client.send(new ResumeMicrovmCommand({ microvmIdentifier }));
  assert.equal(await state(), 'RUNNING');
  await client.send(new TerminateMicrovmCommand({ microvmIdentifier }));
  assert.equal(await state(), 'TERMINATED');
  await assert.rejects(client.send(new SuspendMicrovmCommand({ microvmIdentifier })), (error) => {
    assert(error instanceof ValidationException);
    const expected = `The MicroVM ${microvmIdentifier} has been terminated and its state cannot be changed.`;
    return error.message === expected;
  });
});

test('pages through microVMs, of one image too', async () => {
  const ids = [await run(), await run(), await run()];
  const listed: (string | undefined)[] = [];
  for await (const page of paginateListMicrovms({ client, pageSize: 2 }, { imageIdentifier: imageArn })) {
    assert.ok((page.items ?? []).length <= 2);
    listed.push(...(page.items ?? []).map((item) => item.microvmId));
  }
  assert.equal(new Set(listed).size, listed.length);
  for (const id of ids) assert.ok(listed.includes(id));
  const none = paginateListMicrovms({ client }, { imageIdentifier: imageArn, imageVersion: '9.0' });
  for await (const page of none) assert.deepEqual(page.items, []);
});

test('mints tokens for ports', async () => {
  const microvmIdentifier = await run();
  const allowedPorts = [{ port: 80 }, { range: { startPort: 1, endPort: 2 } }, { allPorts: {} }];
  const { authToken } = await client.send(
    new CreateMicrovmAuthTokenCommand({ microvmIdentifier, expirationInMinutes: 60, allowedPorts }),
  );
  assert.deepEqual(Object.keys(authToken ?? {}), ['X-aws-proxy-auth']);
  assert.deepEqual(JSON.parse(authToken?.['X-aws-proxy-auth'] ?? ''), {
    microvmId: microvmIdentifier,
    grants: allowedPorts,
    minutes: 60,
  });
  const tooLong = { microvmIdentifier, expirationInMinutes: 61, allowedPorts };
  await assert.rejects(client.send(new CreateMicrovmAuthTokenCommand(tooLong)), {
    name: 'ValidationException',
    message: 'ExpirationMinutes 61 exceeded max allowed of 60.',
  });
  const reversed = [{ range: { startPort: 2, endPort: 1 } }];
  await assert.rejects(
    client.send(
      new CreateMicrovmAuthTokenCommand({
        microvmIdentifier,
        expirationInMinutes: 1,
        allowedPorts: reversed,
      }),
    ),
    ValidationException,
  );
});

test('mints shell tokens only where the connectors allow it', async () => {
  const connector = (name: 'ALL_INGRESS' | 'HTTP_INGRESS' | 'SHELL_INGRESS') =>
    managedConnectorArn(realm.region, name);
  const shell = async (ingressNetworkConnectors: string[]) => {
    const microvmIdentifier = await run({ ingressNetworkConnectors });
    return client.send(new CreateMicrovmShellAuthTokenCommand({ microvmIdentifier, expirationInMinutes: 1 }));
  };
  const { authToken } = await shell([connector('SHELL_INGRESS'), connector('HTTP_INGRESS')]);
  assert.match(authToken?.['X-aws-proxy-auth'] ?? '', /"grants":"shell"/);
  await shell([connector('ALL_INGRESS')]);
  await assert.rejects(shell([connector('HTTP_INGRESS')]), {
    message: 'Shell access requires SHELL_INGRESS network connector to be configured on the MicroVM.',
  });
  await assert.rejects(shell([connector('ALL_INGRESS'), connector('SHELL_INGRESS')]), {
    message:
      'ALL_INGRESS cannot be combined with other ingress network connectors; use HTTP_INGRESS and/or SHELL_INGRESS instead',
  });
});

test('names what was not found', async () => {
  const microvmIdentifier = 'microvm-00000000-0000-0000-0000-000000000000';
  await assert.rejects(client.send(new GetMicrovmCommand({ microvmIdentifier })), (error) => {
    assert(error instanceof ResourceNotFoundException);
    assert.equal(error.$metadata.httpStatusCode, 404);
    return error.message === `MicroVM not found: ${microvmIdentifier}`;
  });
  await assert.rejects(run({ imageVersion: '7.0' }), {
    name: 'ResourceNotFoundException',
    message: `No active version found for MicroVM image ${imageArn} and version 7.0`,
  });
});

test('wants an ARN of its own account, as the service does', async () => {
  await assert.rejects(run({ imageIdentifier: 'demo' }), {
    name: 'ValidationException',
    message: "Malformed ARN - doesn't start with 'arn:'",
  });
  const foreign = imageArn.replace(realm.accountId, '210987654321');
  await assert.rejects(run({ imageIdentifier: foreign }), {
    name: 'AccessDeniedException',
    message:
      `User: arn:aws:iam::${realm.accountId}:root is not authorized to perform: lambda:RunMicrovm on resource: ${foreign} ` +
      'because no identity-based policy allows the lambda:RunMicrovm action',
  });
});

test('passes on conflicts as the modelled error', async () => {
  const conflicted = await startServer('aws', {
    services: {
      microvms: {
        ...server.services.microvms,
        run: async () => {
          throw clientTokenReused();
        },
      },
    },
  });
  const other = new LambdaMicrovmsClient({ ...conflicted.client, maxAttempts: 1 });
  try {
    await assert.rejects(other.send(new RunMicrovmCommand({ imageIdentifier: imageArn })), ConflictException);
  } finally {
    other.destroy();
    await conflicted.close();
  }
});
