import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connectorArn } from '../../src/model/connector.ts';
import { limits } from '../../src/model/limits.ts';
import { raw } from './raw.ts';
import { realm, startServer, type TestServer } from './server.ts';

/** Customer connectors on the wire (spec section 1.9). */

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
};
const path = '/2026-04-04/network-connectors';
const policies = '/dormouse/v1/egress-policies';

interface WireConnector {
  readonly Arn: string;
  readonly Id: string;
  readonly State: string;
}

let server: TestServer;
let tokens = 0;

before(async () => {
  server = await startServer('aws');
  assert.equal((await raw(server, 'PUT', `${policies}/subnet-1`, { allow: ['example.com'] })).status, 200);
});

after(async () => {
  await server.close();
  assert.deepEqual(server.faults, []);
});

/** Asks for a connector with a client token of its own. */
async function create(change: object, at = server) {
  tokens += 1;
  return await raw(at, 'POST', path, { ...request, ClientToken: `token-${tokens}`, ...change });
}

/** Waits until a connector has left a state that passes. */
async function settled(id: string): Promise<WireConnector> {
  for (;;) {
    const { json } = await raw(server, 'GET', `${path}/${id}`);
    const connector = json as WireConnector;
    if (connector.State !== 'PENDING') return connector;
  }
}

test('creates, describes, lists, updates and deletes', async () => {
  const created = await create({ Tags: { team: 'red' } });
  const { Arn, Id } = created.json as WireConnector;
  assert.equal(created.status, 202);
  assert.match(Id, /^nc-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  assert.equal(Arn, connectorArn(realm, Id));
  const basics = {
    Arn,
    Id,
    Name: 'office',
    OperatorRole: operatorRole,
    Configuration: { VpcEgressConfiguration: egress },
  };
  assert.deepEqual(created.json, { ...basics, State: 'PENDING' });

  const { LastModified, ...details } = (await settled(Id)) as WireConnector & { LastModified: string };
  assert.deepEqual(details, { ...basics, State: 'ACTIVE', StateReason: 'Initial creation' });
  assert.match(LastModified, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  for (const identifier of ['office', encodeURIComponent(Arn), Arn]) {
    assert.deepEqual((await raw(server, 'GET', `${path}/${identifier}`)).json, { ...details, LastModified });
  }

  const item = { Arn, Id, LastModified, Name: 'office', State: 'ACTIVE', Type: 'VPC_EGRESS' };
  assert.deepEqual((await raw(server, 'GET', path)).json, { NetworkConnectors: [item] });
  assert.deepEqual((await raw(server, 'GET', `${path}?State=FAILED`)).json, { NetworkConnectors: [] });

  const tags = `/2017-03-31/tags/${Arn}`;
  assert.deepEqual((await raw(server, 'GET', tags)).json, { Tags: { team: 'red' } });
  assert.equal((await raw(server, 'POST', tags, { Tags: { stage: 'test' } })).status, 204);
  assert.equal((await raw(server, 'DELETE', `${tags}?tagKeys=team`)).status, 204);
  assert.deepEqual((await raw(server, 'GET', tags)).json, { Tags: { stage: 'test' } });

  const same = await raw(server, 'PUT', `${path}/${Id}`, { ClientToken: 'none' });
  assert.equal(same.status, 202);
  const { LastUpdateStatus, LastUpdateStatusReason } = same.json as Record<string, unknown>;
  assert.deepEqual(
    [LastUpdateStatus, LastUpdateStatusReason],
    ['Successful', 'No configuration changes detected'],
  );
  const dual = { VpcEgressConfiguration: { ...egress, SecurityGroupIds: [], NetworkProtocol: 'DualStack' } };
  const changed = await raw(server, 'PUT', `${path}/office`, { ClientToken: 'dual', Configuration: dual });
  const { LastModified: changedAt, ...afterwards } = changed.json as Record<string, unknown>;
  assert.deepEqual(afterwards, {
    ...basics,
    Configuration: dual,
    State: 'ACTIVE',
    LastUpdateStatus: 'Successful',
  });
  assert.ok(String(changedAt) >= LastModified);

  const deleted = await raw(server, 'DELETE', `${path}/${Id}`);
  assert.deepEqual([deleted.status, (deleted.json as WireConnector).State], [202, 'DELETING']);
  let gone = await raw(server, 'GET', `${path}/${encodeURIComponent(Arn)}`);
  while (gone.status === 200) gone = await raw(server, 'GET', `${path}/${encodeURIComponent(Arn)}`);
  assert.deepEqual([gone.status, gone.json], [404, { Message: `Network connector not found for: ${Arn}` }]);
  assert.equal(gone.headers.get('x-amzn-errortype'), 'ResourceNotFoundException');
});

test('refuses as recorded: constraints first, then what the service itself insists on', async () => {
  const refusal = async (change: object) => {
    const answer = await create(change);
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
  const own: readonly (readonly [object, string])[] = [
    [{ ClientToken: undefined }, 'ClientToken is a required field'],
    [{ OperatorRole: undefined }, 'NetworkConnectorOperatorRole is required for VPC_EGRESS connector type'],
    [without('NetworkProtocol'), 'NetworkProtocol is a required field'],
    [without('AssociatedComputeResourceTypes'), 'AssociatedComputeResourceTypes is a required field'],
    [without('SubnetIds'), 'SubnetIds is a required field'],
  ];
  for (const [change, text] of own) {
    assert.deepEqual(await refusal(change), ['InvalidParameterValueException', text]);
  }
  const [unknown, which] = await refusal({
    Configuration: { VpcEgressConfiguration: { ...egress, SecurityGroupIds: ['sg-none'] } },
  });
  assert.equal(unknown, 'InvalidParameterValueException');
  assert.match(which ?? '', /^There is no egress policy with the name sg-none\./);
  const [named] = await refusal({ Name: connectorArn(realm, 'x') });
  assert.equal(named, 'InvalidParameterValueException');
  assert.deepEqual((await raw(server, 'GET', path)).json, { NetworkConnectors: [] });
});

function without(member: keyof typeof egress): object {
  const { [member]: _, ...rest } = egress;
  return { Configuration: { VpcEgressConfiguration: rest } };
}

test('conflicts have the type and the form of this service', async () => {
  const first = await create({ Name: 'one', ClientToken: 'conflict' });
  const { Id } = first.json as WireConnector;
  assert.equal(((await create({ Name: 'one', ClientToken: 'conflict' })).json as WireConnector).Id, Id);
  for (const change of [{ Name: 'two', ClientToken: 'conflict' }, { Name: 'one' }]) {
    const answer = await create(change);
    assert.deepEqual(
      [answer.status, answer.headers.get('x-amzn-errortype'), Object.keys(answer.json as object)],
      [409, 'ResourceConflictException', ['message']],
    );
  }
  await settled(Id);
  assert.equal((await raw(server, 'DELETE', `${path}/one`)).status, 202);
});

test('the largest number of connectors', async () => {
  const most = limits.aws.networkConnectors;
  for (let index = 0; index < most; index += 1)
    assert.equal((await create({ Name: `n${index}` })).status, 202);
  const answer = await create({ Name: 'more' });
  assert.deepEqual(
    [answer.status, answer.headers.get('x-amzn-errortype')],
    [400, 'NetworkConnectorLimitExceededException'],
  );
  // Pages of 50 at most, until there is no more.
  const names = new Set<string>();
  let marker: string | undefined;
  do {
    const query = marker === undefined ? '' : `&Marker=${encodeURIComponent(marker)}`;
    const { json } = await raw(server, 'GET', `${path}?MaxItems=100${query}`);
    const page = json as { NetworkConnectors: { Name: string }[]; NextMarker?: string };
    assert.ok(page.NetworkConnectors.length <= 50);
    for (const { Name } of page.NetworkConnectors) names.add(Name);
    marker = page.NextMarker;
  } while (marker !== undefined);
  assert.equal(names.size, most);
  const forged = await raw(server, 'GET', `${path}?Marker=x`);
  assert.deepEqual([forged.status, forged.headers.get('x-amzn-errortype')], [400, 'ValidationException']);
});

test('too many calls, and failures of the server, in the words of this service', async (t) => {
  const limited = await startServer('aws', { options: { rates: { GetNetworkConnector: 1 } } });
  t.after(() => limited.close());
  assert.equal((await raw(limited, 'GET', `${path}/none`)).status, 404);
  const throttled = await raw(limited, 'GET', `${path}/none`);
  assert.equal(throttled.status, 429);
  assert.deepEqual(throttled.json, { Reason: 'CallerRateLimitExceeded', message: 'Rate exceeded' });
  assert.equal(throttled.headers.get('x-amzn-errortype'), 'TooManyRequestsException');
  assert.equal(throttled.headers.get('retry-after'), '1');

  const { connectors } = limited.services;
  const broken = await startServer('aws', {
    services: {
      connectors: {
        ...connectors,
        list: async () => {
          throw new Error('the disk is on fire');
        },
      },
    },
  });
  t.after(() => broken.close());
  const failed = await raw(broken, 'GET', path);
  assert.equal(failed.headers.get('x-amzn-errortype'), 'ServiceException');
  assert.deepEqual(
    [failed.status, failed.json],
    [500, { Message: 'Internal server error. Please try again.' }],
  );
  assert.equal(broken.faults.length, 1);
});

test('egress policies are made, replaced, shown and removed', async () => {
  const made = await raw(server, 'PUT', `${policies}/sg-web`, { allow: ['*.example.com:443'] });
  const { createdAt, updatedAt, ...policy } = made.json as Record<string, unknown>;
  assert.deepEqual(policy, {
    policyName: 'sg-web',
    allow: ['*.example.com:443'],
    deny: [],
    default: 'deny',
  });
  assert.equal(createdAt, updatedAt);
  const replaced = await raw(server, 'PUT', `${policies}/sg-web`, { deny: ['10.0.0.0/8'], default: 'allow' });
  assert.deepEqual((replaced.json as { allow: string[] }).allow, []);
  assert.deepEqual((await raw(server, 'GET', `${policies}/sg-web`)).json, replaced.json);
  const { json } = await raw(server, 'GET', policies);
  assert.deepEqual(
    (json as { policies: { policyName: string }[] }).policies.map(({ policyName }) => policyName),
    ['sg-web', 'subnet-1'],
  );
  assert.equal((await raw(server, 'DELETE', `${policies}/sg-web`)).status, 204);
  assert.equal((await raw(server, 'GET', `${policies}/sg-web`)).status, 404);
  assert.equal((await raw(server, 'DELETE', `${policies}/subnet-1`)).status, 409);
});

test('what is no egress policy is refused and changes nothing', async () => {
  const refused: readonly (readonly [string, object, RegExp])[] = [
    ['office', {}, /at 'policyName' failed to satisfy constraint/],
    ['sg-bad', { allow: ['10.0.0.0/40'] }, /Invalid egress policy: "10\.0\.0\.0\/40": not a network/],
    ['sg-bad', { allow: ['a', 'https://x'] }, /"https:\/\/x": ports are given as/],
    ['sg-bad', { allow: Array.from({ length: 257 }, () => 'a') }, /length less than or equal to 256/],
    ['sg-bad', { default: 'maybe' }, /at 'default' failed to satisfy constraint/],
  ];
  for (const [name, body, message] of refused) {
    const answer = await raw(server, 'PUT', `${policies}/${name}`, body);
    assert.equal(answer.status, 400);
    assert.match((answer.json as { message: string }).message, message);
  }
  assert.equal((await raw(server, 'GET', `${policies}/sg-bad`)).status, 404);
});
