import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Connector, ConnectorService } from '../../src/api/connector-service.ts';
import { pageOf } from '../../src/api/page-token.ts';
import { ServiceError } from '../../src/errors.ts';
import { raw } from './raw.ts';
import { realm, startServer, type TestServer } from './server.ts';

/** Customer connectors on the wire (spec section 1.9), with connectors in memory behind. */

const id = 'nc-00000000-0000-0000-0000-000000000001';
const arn = `arn:aws:lambda:${realm.region}:${realm.accountId}:network-connector:${id}`;
const operatorRole = `arn:aws:iam::${realm.accountId}:role/operator`;
const egress = {
  SubnetIds: ['subnet-1'],
  NetworkProtocol: 'IPv4',
  AssociatedComputeResourceTypes: ['MicroVm'],
};
const request = {
  Name: 'office',
  Configuration: { VpcEgressConfiguration: egress },
  OperatorRole: operatorRole,
  ClientToken: 'token',
};
const path = '/2026-04-04/network-connectors';

function createMemoryConnectors(): ConnectorService {
  const connectors = new Map<string, Connector>();
  const tags = new Map<string, Readonly<Record<string, string>>>();
  const find = (identifier: string): Connector => {
    const found = [...connectors.values()].find((item) =>
      [item.id, item.name, item.arn].includes(identifier),
    );
    if (found !== undefined) return found;
    throw new ServiceError('ResourceNotFoundException', `Network connector not found for: ${identifier}`);
  };
  return {
    async create(input) {
      const created: Connector = {
        arn,
        id,
        name: input.name,
        state: 'PENDING',
        stateReason: 'Initial creation',
        configuration: input.configuration,
        operatorRole: input.operatorRole,
        version: 1,
        lastUpdate: undefined,
        modifiedAt: Date.UTC(2026, 0, 2),
      };
      connectors.set(id, { ...created, state: 'ACTIVE' });
      tags.set(arn, input.tags);
      return created;
    },
    get: async (identifier) => find(identifier),
    list: async (page, state) =>
      pageOf(
        [...connectors.values()].filter((item) => (state ?? item.state) === item.state),
        (item) => item.id,
        page,
      ),
    async update(identifier, change) {
      const updated: Connector = {
        ...find(identifier),
        ...(change.configuration === undefined ? {} : { configuration: change.configuration }),
        lastUpdate: { status: 'Successful', reason: 'No configuration changes detected' },
      };
      connectors.set(updated.id, updated);
      return updated;
    },
    async delete(identifier) {
      const deleted = find(identifier);
      connectors.delete(deleted.id);
      return { ...deleted, state: 'DELETING' };
    },
    tags: async (resource) => tags.get(resource) ?? {},
    tag: async (resource, added) => void tags.set(resource, { ...tags.get(resource), ...added }),
    untag: async (resource) => void tags.delete(resource),
  };
}

let server: TestServer;

before(async () => {
  server = await startServer('aws', { services: { connectors: createMemoryConnectors() } });
});

after(async () => {
  await server.close();
  assert.deepEqual(server.faults, []);
});

test('creates, describes, lists, updates and deletes', async () => {
  const configuration = { VpcEgressConfiguration: { ...egress, SecurityGroupIds: [] } };
  const basics = {
    Arn: arn,
    Id: id,
    Name: 'office',
    OperatorRole: operatorRole,
    Configuration: configuration,
  };
  const created = await raw(server, 'POST', path, { ...request, Tags: { team: 'red' } });
  assert.deepEqual([created.status, created.json], [202, { ...basics, State: 'PENDING' }]);

  const LastModified = '2026-01-02T00:00:00.000Z';
  const details = {
    ...basics,
    State: 'ACTIVE',
    LastModified,
    Version: 1,
    StateReason: 'Initial creation',
  };
  for (const identifier of [id, 'office', encodeURIComponent(arn)]) {
    assert.deepEqual((await raw(server, 'GET', `${path}/${identifier}`)).json, details);
  }

  const item = { Arn: arn, Id: id, LastModified, Name: 'office', State: 'ACTIVE', Type: 'VPC_EGRESS' };
  assert.deepEqual((await raw(server, 'GET', path)).json, { NetworkConnectors: [item] });
  assert.deepEqual((await raw(server, 'GET', `${path}?State=FAILED`)).json, { NetworkConnectors: [] });

  assert.deepEqual((await raw(server, 'GET', `/2017-03-31/tags/${arn}`)).json, { Tags: { team: 'red' } });

  const updated = await raw(server, 'PUT', `${path}/${id}`, { ClientToken: 'other' });
  assert.equal(updated.status, 202);
  const { LastUpdateStatus, LastUpdateStatusReason } = updated.json as Record<string, unknown>;
  assert.deepEqual(
    [LastUpdateStatus, LastUpdateStatusReason],
    ['Successful', 'No configuration changes detected'],
  );

  const deleted = await raw(server, 'DELETE', `${path}/${id}`);
  assert.deepEqual([deleted.status, (deleted.json as { State: string }).State], [202, 'DELETING']);
  const gone = await raw(server, 'GET', `${path}/${encodeURIComponent(arn)}`);
  assert.deepEqual([gone.status, gone.json], [404, { Message: `Network connector not found for: ${arn}` }]);
});

test('refuses as recorded: constraints first, then what the service itself insists on', async () => {
  const refusal = async (change: object) => {
    const answer = await raw(server, 'POST', path, { ...request, ...change });
    assert.equal(answer.status, 400);
    return [answer.headers.get('x-amzn-errortype'), (answer.json as { message: string }).message];
  };
  const SubnetIds = Array.from({ length: 17 }, (_, index) => `subnet-${index}`);
  const [type, message] = await refusal({
    Configuration: { VpcEgressConfiguration: { ...egress, SubnetIds } },
    ClientToken: undefined,
  });
  assert.equal(type, 'ValidationException');
  assert.match(
    message ?? '',
    /^1 validation error detected: .*at 'configuration\.vpcEgressConfiguration\.subnetIds' failed to satisfy constraint: Member must have length less than or equal to 16$/,
  );
  assert.deepEqual(await refusal({ ClientToken: undefined }), [
    'InvalidParameterValueException',
    'ClientToken is a required field',
  ]);
  assert.deepEqual(await refusal({ OperatorRole: undefined }), [
    'InvalidParameterValueException',
    'NetworkConnectorOperatorRole is required for VPC_EGRESS connector type',
  ]);
});

test('without connectors their operations say so, after validation', async () => {
  const bare = await startServer('aws');
  try {
    assert.equal((await raw(bare, 'POST', path, {})).status, 400);
    const answer = await raw(bare, 'POST', path, request);
    assert.deepEqual(
      [answer.status, answer.headers.get('x-amzn-errortype')],
      [501, 'NotImplementedException'],
    );
  } finally {
    await bare.close();
  }
});
