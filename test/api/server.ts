import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { createApi } from '../../src/api/server.ts';
import type { ApiOptions, ApiServices } from '../../src/api/services.ts';
import { EventFeed } from '../../src/events/event-feed.ts';
import { Webhooks } from '../../src/events/webhooks.ts';
import { AccessKeys } from '../../src/identity/access-keys.ts';
import { roleDefaults } from '../../src/identity/role-limits.ts';
import { RolePolicies } from '../../src/identity/role-policies.ts';
import { Roles } from '../../src/identity/roles.ts';
import { createSecretSealer } from '../../src/identity/sealed-secret.ts';
import { UsageHistory } from '../../src/microvms/usage-history.ts';
import { systemClock } from '../../src/model/clock.ts';
import type { Profile } from '../../src/model/limits.ts';
import { CustomerConnectors } from '../../src/network/connectors/customer-connectors.ts';
import { defaultBucketName, openDiskObjectStore } from '../../src/s3/disk-object-store.ts';
import { openDatabase } from '../../src/store/database.ts';
import { EventLog } from '../../src/store/event-log.ts';
import { LogGroupRepository } from '../../src/store/log-groups.ts';
import { RoleRepository } from '../../src/store/roles.ts';
import { createMemoryImages } from './doubles/images.ts';
import { createMemoryLogs } from './doubles/logs.ts';
import { createMemoryMicrovms } from './doubles/microvms.ts';

export const realm = { region: 'us-east-1', accountId: '123456789012' } as const;
export const credentials = { accessKeyId: 'AKIATESTTESTTEST', secretAccessKey: 'test/secret+key' } as const;
export const principal = {
  arn: `arn:aws:iam::${realm.accountId}:root`,
  accountId: realm.accountId,
  userId: realm.accountId,
} as const;

export interface TestServer {
  readonly url: string;
  readonly services: ApiServices;
  /** What is stored here is told by the server's stream of events. */
  readonly events: EventLog;
  /** Failures the server took for its own; a test that expects none checks that it is empty. */
  readonly faults: readonly unknown[];
  /** What SDK clients need to talk to it. */
  readonly client: {
    readonly endpoint: string;
    readonly region: string;
    readonly credentials: typeof credentials;
  };
  close(): Promise<void>;
}

/** The real API and bucket on a free port, with images and microVMs in memory behind them. */
export async function startServer(
  profile: Profile = 'relaxed',
  changes: { readonly services?: Partial<ApiServices>; readonly options?: Partial<ApiOptions> } = {},
): Promise<TestServer> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-api-'));
  const store = await openDatabase(':memory:');
  const objects = await openDiskObjectStore({
    store,
    directory,
    defaultBucket: defaultBucketName(realm.accountId),
    now: Date.now,
  });
  const sealer = createSecretSealer(randomBytes(32));
  const accessKeys = new AccessKeys({
    store,
    sealer,
    accountId: realm.accountId,
    clock: systemClock,
    rootKey: credentials,
  });
  const events = new EventLog(store);
  const webhooks = new Webhooks({
    store,
    log: events,
    sealer,
    clock: systemClock,
    logger: pino({ level: 'silent' }),
  });
  const images = createMemoryImages(realm, Date.now);
  const faults: unknown[] = [];
  const connectors = new CustomerConnectors({
    store,
    realm,
    profile,
    clock: systemClock,
    logger: { error: (...fault: unknown[]) => void faults.push(fault) },
  });
  const roleRows = new RoleRepository(store, roleDefaults);
  const services: ApiServices = {
    images,
    microvms: createMemoryMicrovms(realm, images, Date.now),
    logs: createMemoryLogs(),
    logGroups: new LogGroupRepository(store),
    objects,
    credentials: accessKeys,
    accessKeys,
    events: new EventFeed(events),
    webhooks,
    roles: new Roles(roleRows, realm.accountId, systemClock),
    rolePolicies: new RolePolicies(roleRows, realm.accountId, systemClock),
    usage: new UsageHistory(),
    connectors,
    egressPolicies: connectors.policies,
    egressRefusals: () => [],
    mintToken: async (microvmId, grants, minutes) => JSON.stringify({ microvmId, grants, minutes }),
    ...changes.services,
  };
  const api = createApi(services, {
    realm,
    profile,
    clock: systemClock,
    rates: {},
    pageTokenKey: randomBytes(32),
    endpointOf: (endpointId) => `${endpointId}.microvm.localhost:9443`,
    describeServer: () => ({
      version: '0.0.0',
      vmm: 'qemu',
      accelerator: 'tcg',
      endpointDomain: 'microvm.localhost',
      endpointPort: 9443,
      caCertificate: 'PEM',
    }),
    reportFault: (fault) => faults.push(fault),
    ...changes.options,
  });
  const { port } = await api.listen(0, '127.0.0.1');
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    events,
    services,
    faults,
    client: { endpoint: url, region: realm.region, credentials },
    async close() {
      await api.close();
      await webhooks.close();
      await connectors.close();
      await store.destroy();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
