import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Connector, ConnectorInput } from '../../model/connector.ts';
import type { Microvm } from '../../model/microvm.ts';
import { openDatabase } from '../../store/database.ts';
import { ImageRepository } from '../../store/images.ts';
import { MicrovmRepository } from '../../store/microvms.ts';
import { CustomerConnectors } from './customer-connectors.ts';

const realm = { region: 'us-east-1', accountId: '123456789012' };
const document = { allow: ['example.com:443'], deny: [], default: 'deny' } as const;

async function open(t: TestContext) {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'connectors-'));
  const store = await openDatabase(path.join(directory, 'store.sqlite'));
  const started: CustomerConnectors[] = [];
  t.after(async () => {
    for (const connectors of started) await connectors.close();
    await store.destroy();
    await rm(directory, { recursive: true, force: true });
  });
  let time = 1_700_000_000_000;
  const start = async (): Promise<CustomerConnectors> => {
    const connectors = new CustomerConnectors({
      store,
      realm,
      profile: 'relaxed',
      clock: { now: () => (time += 1) },
      logger: { error: ({ err }: { err: unknown }) => assert.fail(String(err)) },
    });
    started.push(connectors);
    await connectors.recover();
    return connectors;
  };
  return { store, start, connectors: await start() };
}

const tokenOf = (token: string) => ({ principal: 'somebody', token });

function input(name: string, change: Partial<ConnectorInput> = {}): ConnectorInput {
  return {
    name,
    configuration: { subnetIds: ['subnet-1'], networkProtocol: 'IPv4' },
    operatorRole: `arn:aws:iam::${realm.accountId}:role/operator`,
    clientToken: tokenOf(randomUUID()),
    tags: {},
    ...change,
  };
}

async function active(connectors: CustomerConnectors, name = 'office'): Promise<Connector> {
  await connectors.policies.put('subnet-1', document);
  const created = await connectors.create(input(name));
  await connectors.close();
  return await connectors.get(created.id);
}

test('a new connector is PENDING, then ACTIVE, also after the server was killed in between', async (t) => {
  const { connectors, start, store } = await open(t);
  await connectors.policies.put('subnet-1', document);
  const created = await connectors.create(input('office'));
  assert.deepEqual([created.state, created.stateReason], ['PENDING', 'Initial creation']);
  assert.throws(() => connectors.requireActive(created.arn), /is not ACTIVE but PENDING/);
  await connectors.close();
  assert.equal((await connectors.get('office')).state, 'ACTIVE');
  connectors.requireActive(created.arn);

  await store.updateTable('network_connectors').set({ state: 'PENDING' }).execute();
  const again = await start();
  await again.close();
  assert.deepEqual(await again.get(created.arn), await connectors.get(created.id));
  assert.equal(again.rulesOf(created.arn).length, 1);
});

test('what was being deleted when the server was killed is gone', async (t) => {
  const { connectors, start, store } = await open(t);
  const { id } = await active(connectors);
  await store.updateTable('network_connectors').set({ state: 'DELETING' }).execute();
  const again = await start();
  await again.close();
  await assert.rejects(
    again.get(id),
    /not found for: arn:aws:lambda:us-east-1:123456789012:network-connector:nc-/,
  );
});

test('ids that name no policy make no connector and change none', async (t) => {
  const { connectors } = await open(t);
  await assert.rejects(connectors.create(input('office')), {
    code: 'InvalidParameterValueException',
    message: /no egress policy with the name subnet-1\..*dormouse egress set subnet-1/,
  });
  const { id, configuration } = await active(connectors);
  const change = { ...configuration, securityGroupIds: ['sg-1', 'sg-2'] };
  await assert.rejects(
    connectors.update(id, { configuration: change, clientToken: tokenOf('b') }),
    /name sg-1 or sg-2\./,
  );
  assert.deepEqual((await connectors.get(id)).configuration, configuration);
});

test('an update changes the rules and counts the version; one without change says so', async (t) => {
  const { connectors } = await open(t);
  const { id, arn, configuration } = await active(connectors);
  await connectors.policies.put('sg-1', { allow: [], deny: ['example.com'], default: 'deny' });
  const change = {
    configuration: { ...configuration, securityGroupIds: ['sg-1'] },
    clientToken: tokenOf('a'),
  };
  const updated = await connectors.update(id, change);
  assert.deepEqual([updated.version, updated.lastUpdate?.status], [2, 'Successful']);
  assert.equal(connectors.rulesOf(arn).length, 2);
  const same = await connectors.update(id, { ...change, clientToken: tokenOf('b') });
  assert.equal(same.version, 2);
  assert.equal(same.lastUpdate?.reason, 'No configuration changes detected');
});

test('client tokens: the same request is answered again, another one refused', async (t) => {
  const { connectors } = await open(t);
  await connectors.policies.put('subnet-1', document);
  const request = input('office', { clientToken: tokenOf('once') });
  const first = await connectors.create(request);
  assert.equal((await connectors.create(request)).id, first.id);
  await assert.rejects(connectors.create({ ...request, name: 'other' }), { code: 'ConflictException' });
  await assert.rejects(connectors.create(input('office')), {
    code: 'ResourceConflictException',
    message: "A network connector with the name 'office' already exists in this account",
  });
  await connectors.delete('office');
  await connectors.close();
  assert.notEqual((await connectors.create(request)).id, first.id);
});

test('a policy stays while a connector refers to it', async (t) => {
  const { connectors } = await open(t);
  await active(connectors);
  await assert.rejects(
    connectors.policies.delete('subnet-1'),
    /while the network connector 'office' uses it/,
  );
  await connectors.delete('office');
  await connectors.close();
  await connectors.policies.delete('subnet-1');
  assert.deepEqual(connectors.policies.list(), []);
  await assert.rejects(connectors.policies.delete('subnet-1'), /Egress policy not found: subnet-1/);
});

test('a connector stays while a live microVM or an image version uses it', async (t) => {
  const { connectors, store } = await open(t);
  const { arn } = await active(connectors);
  const vm: Microvm = {
    microvmId: 'microvm-1',
    endpointId: 'e',
    state: 'SUSPENDED',
    stateReason: null,
    imageArn: 'arn',
    imageVersion: '1.0',
    executionRoleArn: null,
    idlePolicy: null,
    logging: null,
    maximumDurationInSeconds: 1,
    ingressNetworkConnectors: [],
    egressNetworkConnectors: [arn],
    memoryMib: 1,
    startedAt: 1,
    suspendedAt: null,
    terminatedAt: null,
  };
  await new MicrovmRepository(store).insert([vm], { runHookPayload: null, forkedFrom: null }, undefined);
  await assert.rejects(connectors.delete(arn), {
    code: 'ResourceConflictException',
    message: `Network connector ${arn} cannot be deleted while it is in use by the microVM microvm-1`,
  });
  await store.updateTable('microvms').set({ state: 'TERMINATED' }).execute();
  await new ImageRepository(store).addVersion(imageWith(arn), undefined);
  await assert.rejects(connectors.delete(arn), /in use by version 1\.0 of arn:image/);
  await store.deleteFrom('images').execute();
  assert.equal((await connectors.delete(arn)).state, 'DELETING');
  await connectors.close();
  await assert.rejects(connectors.delete(arn), { message: `Network connector not found for: ${arn}` });
});

function imageWith(egressConnector: string): Parameters<ImageRepository['addVersion']>[0] {
  const imageArn = 'arn:image';
  const image = {
    id: 'i',
    imageArn,
    name: 'app',
    state: 'CREATED',
    latestActiveImageVersion: null,
    latestFailedImageVersion: null,
    nextVersion: 2,
    tags: {},
    createdAt: 1,
    updatedAt: 1,
  } as const;
  const configuration = {
    baseImageArn: 'b',
    baseImageVersion: '1.0',
    buildRoleArn: 'r',
    description: null,
    codeArtifact: { uri: 's3://b/k' },
    logging: null,
    egressNetworkConnectors: [egressConnector],
    cpuConfigurations: null,
    minimumMemoryInMiB: 256,
    additionalOsCapabilities: null,
    hooks: null,
    environmentVariables: null,
  };
  const version = {
    imageArn,
    imageVersion: '1.0',
    state: 'SUCCESSFUL',
    status: 'ACTIVE',
    stateReason: null,
    condition: null,
    configuration,
    createdAt: 1,
    updatedAt: 1,
  } as const;
  const build = {
    imageArn,
    imageVersion: '1.0',
    buildId: 'x',
    buildState: 'SUCCESSFUL',
    architecture: 'X86_64',
    stateReason: null,
    snapshotBuild: null,
    createdAt: 1,
  } as const;
  return { image, version, build };
}

test('lists oldest first, by page and by state', async (t) => {
  const { connectors } = await open(t);
  await active(connectors, 'a');
  await connectors.create(input('b'));
  await connectors.create(input('c'));
  await connectors.close();
  const first = await connectors.list({ limit: 2, after: undefined }, undefined);
  assert.deepEqual(
    first.items.map(({ name }) => name),
    ['a', 'b'],
  );
  const rest = await connectors.list({ limit: 2, after: first.next }, 'ACTIVE');
  assert.deepEqual([rest.items.map(({ name }) => name), rest.next], [['c'], undefined]);
  assert.deepEqual((await connectors.list({ limit: 2, after: undefined }, 'FAILED')).items, []);
});
