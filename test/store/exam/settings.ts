import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOnly } from '../../../src/model/activity.ts';
import { AccessKeyRepository } from '../../../src/store/access-keys.ts';
import { ActivitySettingsRepository } from '../../../src/store/activity-settings.ts';
import { ConnectorRepository } from '../../../src/store/connectors.ts';
import { EgressPolicyRepository } from '../../../src/store/egress-policies.ts';
import { LogGroupRepository } from '../../../src/store/log-groups.ts';
import { MicrovmRepository } from '../../../src/store/microvms.ts';
import { PublishedPortRepository } from '../../../src/store/published-ports.ts';
import { ownPolicyName, RoleRepository } from '../../../src/store/roles.ts';
import { secretSetting } from '../../../src/store/secret-setting.ts';
import type { OpenStore } from '../exam.test.ts';
import { microvm } from './microvms.ts';

export function examineSettings(open: OpenStore): void {
  test('a secret is made once, whoever comes first', async (t) => {
    const store = await open(t);
    const made = [1, 2, 3].map((byte) => secretSetting(store, 'key', () => Buffer.alloc(8, byte)));
    const [first, ...others] = await Promise.all(made);
    for (const other of others) assert.deepEqual(other, first);
  });

  test('of access keys with one name, one is stored', async (t) => {
    const keys = new AccessKeyRepository(await open(t));
    const row = (id: string) => ({
      name: 'ci',
      user_id: 'u',
      access_key_id: id,
      sealed_secret: 's',
      policy: '{}',
      created_at: 1,
      rotated_at: null,
    });
    const stored = await Promise.all(['A', 'B', 'C'].map((id) => keys.insert(row(id))));
    assert.equal(stored.filter(Boolean).length, 1);
    assert.equal(await keys.count(), 1);
    assert.ok(await keys.replaceSecret('ci', { access_key_id: 'D', sealed_secret: 't', rotated_at: 2 }));
    assert.equal((await keys.find('access_key_id', 'D'))?.rotated_at, 2);
    assert.ok(await keys.remove('ci'));
    assert.ok(!(await keys.remove('ci')));
  });

  test('a connector is found in use by a live microVM', async (t) => {
    const store = await open(t);
    const connectors = new ConnectorRepository(store);
    const arn = 'arn:aws:lambda:us-east-1:000000000000:network-connector:nc-1';
    const vm = microvm({ egressNetworkConnectors: [arn] });
    await new MicrovmRepository(store).insert([vm], { runHookPayload: null, forkedFrom: null }, undefined);
    assert.equal(await connectors.userOf(arn), `the microVM ${vm.microvmId}`);
    assert.equal(await connectors.userOf(`${arn}2`), undefined);
  });

  test('policies, settings and ports are put, replaced and removed', async (t) => {
    const store = await open(t);
    const egress = new EgressPolicyRepository(store);
    const policy = {
      name: 'subnet-1',
      allow: [],
      deny: [],
      default: 'deny',
      createdAt: 1,
      updatedAt: 1,
    } as const;
    await egress.put(policy);
    await egress.put({ ...policy, updatedAt: 2 });
    assert.deepEqual(await egress.list(), [{ ...policy, updatedAt: 2 }]);
    const port = { microvmId: 'm', protocol: 'tcp', guestPort: 80, hostPort: 8080, allow: ['::/0'] } as const;
    const ports = new PublishedPortRepository(store);
    await ports.insert(port);
    await assert.rejects(ports.insert({ ...port, microvmId: 'n' }));
    assert.deepEqual(await ports.listAll(), [port]);
    assert.ok(await ports.remove(port));
    const activity = new ActivitySettingsRepository(store);
    await activity.set('m', bytesOnly);
    assert.equal((await activity.listAll()).length, 1);
    await activity.remove('m');
    assert.deepEqual(await activity.listAll(), []);
  });

  test('of log groups with one name, one is stored, and changes at the same time all hold', async (t) => {
    const groups = new LogGroupRepository(await open(t));
    const group = { name: '/a', retentionDays: null, tags: {}, createdAt: 1 };
    const stored = await Promise.all([1, 2, 3].map((createdAt) => groups.insert({ ...group, createdAt })));
    assert.equal(stored.filter(Boolean).length, 1);
    await Promise.all(
      ['x', 'y', 'z'].map((key) =>
        groups.update('/a', (known) => ({ ...known, tags: { ...known.tags, [key]: key } })),
      ),
    );
    await groups.update('/a', (known) => ({ ...known, retentionDays: 7 }));
    await groups.update('/none', () => assert.fail('there is no such group'));
    assert.deepEqual((await groups.find('/a'))?.tags, { x: 'x', y: 'y', z: 'z' });
    assert.deepEqual([...(await groups.retentions())], [['/a', 7]]);
    assert.equal(await groups.count(), 1);
    assert.ok(await groups.remove('/a'));
    assert.ok(!(await groups.remove('/a')));
  });

  test('a role has the policies of both tables, and changes at the same time all hold', async (t) => {
    const roles = new RoleRepository(await open(t), { trustPolicy: '{}', maximumSessionSeconds: 60 });
    await roles.replacePolicies('given', '{"a":1}', 1);
    const given = await roles.find('given');
    assert.deepEqual([given?.path, given?.inlinePolicies], [undefined, { [ownPolicyName]: '{"a":1}' }]);
    const made = { ...given, roleName: 'made', roleId: 'AROA1', path: '/x/', description: null };
    const role = { ...made, trustPolicy: '{}', maximumSessionSeconds: 60, inlinePolicies: {}, updatedAt: 2 };
    const row = { ...role, attachedPolicies: [], tags: {}, createdAt: 2 };
    const inserted = await Promise.all([roles.insert(row), roles.insert(row)]);
    assert.deepEqual(inserted.filter(Boolean), [true]);
    assert.ok(!(await roles.insert({ ...row, roleName: 'given' })));
    for (const name of ['given', 'made']) {
      await roles.change(name, 3, (known) => ({ ...known, description: 'first' }));
      await Promise.all(
        ['x', 'y', 'z'].map((policy) =>
          roles.change(name, 4, (known) => ({
            ...known,
            inlinePolicies: { ...known.inlinePolicies, [policy]: '{}' },
          })),
        ),
      );
    }
    const names = async (name: string) => Object.keys((await roles.find(name))?.inlinePolicies ?? {}).sort();
    assert.deepEqual(await names('given'), [ownPolicyName, 'x', 'y', 'z']);
    assert.deepEqual(await names('made'), ['x', 'y', 'z']);
    assert.equal((await roles.find('given'))?.path, undefined);
    await roles.replacePolicies('made', '{}', 5);
    assert.deepEqual(await names('made'), [ownPolicyName]);
    assert.deepEqual(
      (await roles.list()).map(({ roleName, path }) => [roleName, path]),
      [
        ['given', undefined],
        ['made', '/x/'],
      ],
    );
    await assert.rejects(roles.remove('made', () => assert.fail('not yet')));
    assert.ok(await roles.remove('made', () => undefined));
    assert.ok(!(await roles.remove('made', () => undefined)));
    assert.deepEqual(await names('made'), []);
  });
}
