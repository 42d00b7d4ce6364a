import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { throttledOperations } from './api/dispatch.ts';
import { chooseRates } from './api/rates.ts';
import { type ApiServer, createApi } from './api/server.ts';
import { localSts } from './api/sts/local-sts.ts';
import { locateAssets } from './assets.ts';
import { openDataDirectory } from './blobs/data-directory.ts';
import { ensureDirectory, writeFileDurably } from './blobs/durable.ts';
import { type Config, ConfigError } from './config.ts';
import { type Certificates, openGivenCertificates, openLocalCertificates } from './endpoint/certificates.ts';
import { configuredLimits } from './endpoint/configured-limits.ts';
import { createEndpoint } from './endpoint/endpoint.ts';
import { PublishedPorts } from './endpoint/published/published-ports.ts';
import { declareEndpointMetrics } from './endpoint/tally.ts';
import { openTokens } from './endpoint/tokens.ts';
import { EventFeed } from './events/event-feed.ts';
import { declareEventMetrics } from './events/event-metrics.ts';
import { Webhooks } from './events/webhooks.ts';
import { AccessKeys } from './identity/access-keys.ts';
import { remoteSts } from './identity/remote-sts.ts';
import { roleDefaults } from './identity/role-limits.ts';
import { RolePolicies } from './identity/role-policies.ts';
import { Roles } from './identity/roles.ts';
import { rootAccessKey } from './identity/root-credentials.ts';
import { createSecretSealer } from './identity/sealed-secret.ts';
import { openSealingKey } from './identity/sealing-key.ts';
import { createImageService } from './images/service.ts';
import { lockDataDirectory } from './instance-lock.ts';
import { createMicrovmService } from './microvms/service.ts';
import { watchUsage } from './microvms/usage-history.ts';
import { type Clock, systemClock } from './model/clock.ts';
import { dnsPort, isLoopback, parseAddress } from './model/network-address.ts';
import { parseWarmPoolPolicy } from './model/warm-pool.ts';
import { CustomerConnectors } from './network/connectors/customer-connectors.ts';
import { createGuestNetwork } from './network/guest-network.ts';
import { createMetadataService } from './network/metadata/metadata-service.ts';
import { createMetadataTokens } from './network/metadata/metadata-tokens.ts';
import { ExecutionRoleCredentials } from './network/metadata/role-credentials.ts';
import { createNameService } from './network/names/name-service.ts';
import { createBucketArtifactSource } from './s3/bucket-artifact-source.ts';
import { defaultBucketName, openDiskObjectStore } from './s3/disk-object-store.ts';
import { openDatabase } from './store/database.ts';
import { bindDirectory } from './store/directory-binding.ts';
import { EventLog } from './store/event-log.ts';
import { LogGroupRepository } from './store/log-groups.ts';
import { RoleRepository } from './store/roles.ts';
import { secretSetting } from './store/secret-setting.ts';
import { FileLogStore } from './telemetry/file-log-store.ts';
import { startLogSweeper } from './telemetry/log-sweeper.ts';
import { createLogger } from './telemetry/logger.ts';
import { Metrics } from './telemetry/metrics.ts';
import { repeatedly } from './telemetry/repeatedly.ts';
import { declareStorageMetrics } from './telemetry/storage-metrics.ts';
import { version } from './version.ts';
import { chooseVmm } from './vmm/choose-vmm.ts';

/** What a script has to know of a running server; also written to `server.json` in the data directory. */
export interface ReadyInformation {
  readonly apiEndpoint: string;
  readonly s3Endpoint: string;
  readonly endpointPort: number;
  readonly endpointDomain: string;
  readonly region: string;
  readonly accountId: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly caCertificatePath: string;
  readonly vmm: string;
  readonly accelerator: string;
  readonly dataDirectory: string;
}

export interface RunningServer {
  readonly ready: ReadyInformation;
  /** Why the accelerator is what it is, for people. */
  readonly acceleratorReason: string;
  /** Stops serving. VMs go on without the server and are found again by the next one. */
  close(): Promise<void>;
}

const httpsPort = 443;
const dayMs = 24 * 3600 * 1000;
const eventPruneMs = 5 * 60 * 1000;

/**
 * Builds the whole server and starts it: the only place where services are made and joined.
 * @param clock what time it is for the server and all its microVMs
 * @throws {DataDirectoryError} nothing can be stored in the data directory
 * @throws {DataDirectoryInUseError} another server works on the data directory
 * @throws {VmmError} no VMM can be run on this machine
 */
export async function startServer(config: Config, clock: Clock = systemClock): Promise<RunningServer> {
  const undo: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
  };
  try {
    return { ...(await start(config, undo, clock)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** @throws {ConfigError} something is set that does not exist */
function chosen<Choice>(option: keyof Config, choose: () => Choice): Choice {
  try {
    return choose();
  } catch (error) {
    throw error instanceof RangeError
      ? new ConfigError(`invalid configuration\n${option}: ${error.message}`)
      : error;
  }
}

/** @throws {ConfigError} the given files are no good */
async function openCertificates(config: Config, directory: string, clock: Clock): Promise<Certificates> {
  const { endpointCertificate, endpointKey, endpointDomain: domain } = config;
  if (endpointCertificate === undefined && endpointKey === undefined) {
    return await openLocalCertificates({ directory, domain, clock });
  }
  if (endpointCertificate === undefined || endpointKey === undefined) {
    throw new ConfigError('invalid configuration\nendpointCertificate and endpointKey: one is missing');
  }
  const files = {
    certificatePath: path.resolve(endpointCertificate),
    privateKeyPath: path.resolve(endpointKey),
  };
  return await openGivenCertificates({ ...files, domain }).catch((error: Error) => {
    throw new ConfigError(`invalid configuration\nendpointCertificate: ${error.message}`, { cause: error });
  });
}

async function start(
  config: Config,
  undo: (() => Promise<void>)[],
  clock: Clock,
): Promise<Omit<RunningServer, 'close'>> {
  const rates = chosen('rates', () => chooseRates(config.profile, config.rates, throttledOperations));
  const limitsOfEndpoint = chosen('endpointLimits', () => configuredLimits(config.profile, config));
  const at = (...parts: string[]): string => path.join(config.dataDirectory, ...parts);
  const logger = createLogger(config.logLevel);
  await openDataDirectory(config.dataDirectory);
  undo.push(await lockDataDirectory(config.dataDirectory));
  await ensureDirectory(at('microvms'));

  const assets = locateAssets(config.assetsDirectory);
  const { vmm, accelerator, reason, confinement } = await chooseVmm(config.accelerator, assets, {
    userBase: config.vmmUidBase,
    dataDirectory: config.dataDirectory,
  });
  for (const weakness of confinement.weaknesses) logger.warn(weakness);
  const database = config.database ?? at('dormouse.sqlite');
  const store = await openDatabase(database);
  undo.push(() => store.destroy());
  await bindDirectory(store, database, config.dataDirectory);
  const rootKey = await rootAccessKey(store);
  const sealer = createSecretSealer(await openSealingKey(at('identity')));
  const accessKeys = new AccessKeys({
    store,
    sealer,
    accountId: config.accountId,
    clock,
    rootKey,
  });
  const logs = new FileLogStore(at('logs'), { segmentBytes: config.logStreamMib * 2 ** 19 });
  undo.push(() => logs.close());
  const logGroups = new LogGroupRepository(store);
  undo.push(
    startLogSweeper(logs, {
      retentionDays: config.logRetentionDays,
      groupDays: () => logGroups.retentions(),
      totalBytes: config.logTotalMib * 2 ** 20,
      clock,
      onError: (error) => logger.error({ err: error }, 'old logs could not be removed'),
    }),
  );

  const metrics = new Metrics();
  metrics.watchProcess();
  metrics.reading(
    'confinement_weaknesses',
    'What keeps microVMs from being confined as far as can be.',
    () => confinement.weaknesses.length,
  );
  declareStorageMetrics(metrics, config.dataDirectory, ['images', 'microvms', 's3', 'logs']);

  const events = new EventLog(store);
  undo.push(
    repeatedly(
      () =>
        events.prune({
          count: config.eventCount,
          since: clock.now() - config.eventRetentionDays * dayMs,
        }),
      {
        intervalMs: eventPruneMs,
        clock,
        onError: (error) => logger.error({ err: error }, 'old events could not be removed'),
      },
    ),
  );
  const webhooks = new Webhooks({ store, log: events, sealer, clock, logger });
  const feed = new EventFeed(events);
  declareEventMetrics(metrics, feed, webhooks);
  await webhooks.recover();
  undo.push(() => webhooks.close());

  const realm = { region: config.region, accountId: config.accountId };
  const objects = await openDiskObjectStore({
    store,
    directory: at('s3'),
    defaultBucket: defaultBucketName(config.accountId),
    now: () => clock.now(),
  });
  await objects.recover();

  const { profile } = config;
  const connectors = new CustomerConnectors({ store, realm, profile, clock, logger });
  await connectors.recover();
  undo.push(() => connectors.close());
  const resolvers = config.dnsServers.map((server) => parseAddress(server, dnsPort));
  const pageTokenKey = await secretSetting(store, 'page-token-key', () => randomBytes(32));
  const roleCredentials = new ExecutionRoleCredentials(
    config.executionRoleSts === undefined
      ? localSts(pageTokenKey)
      : remoteSts(config.executionRoleSts, config.region, () => clock.now()),
    clock,
  );
  /** Set once there is an API; a guest that comes earlier is hung up on. */
  const served: { api?: ApiServer } = {};
  const network = createGuestNetwork({
    metrics,
    api: (stream) => (served.api === undefined ? stream.destroy() : served.api.accept(stream)),
    metadata: createMetadataService({
      ...realm,
      tokens: createMetadataTokens(await secretSetting(store, 'metadata-token-key', () => randomBytes(32))),
      credentials: roleCredentials,
      clock,
      onFailure: (microvmId, error) => logger.warn({ microvmId, err: error }, 'no credentials for a microVM'),
    }),
    names: createNameService(resolvers.length > 0 ? resolvers : undefined),
    allowed: config.egressAllow,
    connectors,
    clock,
  });
  const images = createImageService({
    store,
    events,
    metrics,
    vmm,
    artifacts: createBucketArtifactSource(objects),
    logs,
    network,
    connectors,
    profile,
    realm,
    assets,
    directory: at('images'),
    buildSteps: { extraCertificates: config.buildCa, proxy: config.buildProxy },
    clock,
    logger,
    hasLiveMicrovms: (imageArn, imageVersion) => microvms.hasLive(imageArn, imageVersion),
    onWithdrawn: (imageArn, imageVersion) => microvms.withdraw(imageArn, imageVersion),
    room: { reserve: (build, waiting) => microvms.buildRoom.reserve(build, waiting) },
  });
  const microvms = createMicrovmService({
    store,
    events,
    metrics,
    vmm,
    images,
    logs,
    network,
    connectors,
    clock,
    logger,
    directory: at('microvms'),
    profile,
    region: config.region,
    capacity: {
      memoryBudgetBytes: config.memoryBudgetMib * 1024 ** 2,
      cpuOvercommit: config.cpuOvercommit,
      diskReserveBytes: config.diskReserveMib * 1024 ** 2,
      evictIdle: config.evictIdle,
    },
    wakeCacheBytes: config.wakeCacheMib * 1024 ** 2,
    warmPool: parseWarmPoolPolicy(config.warmPool),
    onTerminated: (microvmId) => {
      network.forget(microvmId);
      roleCredentials.forget(microvmId);
      publishedPorts
        .withdrawAll(microvmId)
        .catch((error: unknown) => logger.error({ microvmId, err: error }, 'published ports stayed open'));
    },
  });
  const publishedPorts = new PublishedPorts({
    store,
    backend: microvms,
    host: config.publishHost,
    profile,
    logger,
  });
  await images.recover();
  undo.push(() => images.close());
  await microvms.recover();
  undo.push(() => microvms.close());
  const usage = watchUsage(
    () => microvms.usages(),
    clock,
    (error) => logger.error({ err: error }, 'what microVMs use could not be read'),
  );
  undo.push(usage.close);
  undo.push(() => publishedPorts.close());
  await publishedPorts.recover();

  const certificates = await openCertificates(config, at('tls'), clock);
  const tokens = await openTokens({ directory: at('tokens'), clock });
  const endpoint = createEndpoint({
    backend: microvms,
    tokens,
    certificates,
    domain: config.endpointDomain,
    profile,
    limits: limitsOfEndpoint,
    onError: (error) => logger.error({ err: error }, 'the endpoint failed'),
  });
  declareEndpointMetrics(metrics, () => endpoint.status());
  const endpointPort = await endpoint.listen(config.endpointPort, config.endpointHost);
  undo.push(() => endpoint.close());

  const roleRows = new RoleRepository(store, roleDefaults);
  const suffix = endpointPort === httpsPort ? '' : `:${endpointPort}`;
  const api = createApi(
    {
      images,
      microvms,
      logs,
      logGroups,
      objects,
      publishedPorts,
      connectors,
      egressPolicies: connectors.policies,
      egressRefusals: network.refusalsOf,
      roles: new Roles(roleRows, config.accountId, clock),
      rolePolicies: new RolePolicies(roleRows, config.accountId, clock),
      mintToken: (microvmId, grants, minutes) => tokens.mint(microvmId, grants, minutes),
      rotateTokenKey: (options) => tokens.rotateKey(options),
      credentials: accessKeys,
      accessKeys,
      usage: usage.history,
      events: feed,
      webhooks,
      metrics,
    },
    {
      realm,
      profile,
      rates,
      hostNames: [config.host.toLowerCase()],
      metricsAccess: config.metrics ?? (isLoopback(config.host) ? 'open' : 'signed'),
      clock,
      pageTokenKey,
      endpointOf: (endpointId) => `${endpointId}.${config.endpointDomain}${suffix}`,
      describeServer: () => ({
        version,
        vmm: vmm.origin.vmm,
        accelerator,
        endpointDomain: config.endpointDomain,
        endpointPort,
        caCertificate: certificates.authority(),
      }),
      reportFault: (fault, requestId) => logger.error({ err: fault, requestId }, 'a request failed'),
    },
  );
  const { port } = await api.listen(config.port, config.host);
  images.watchSnapshots();
  served.api = api;
  undo.push(() => api.close());

  const apiEndpoint = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`;
  const ready: ReadyInformation = {
    apiEndpoint,
    s3Endpoint: apiEndpoint,
    endpointPort,
    endpointDomain: config.endpointDomain,
    region: config.region,
    accountId: config.accountId,
    ...rootKey,
    caCertificatePath: certificates.caCertificatePath,
    vmm: vmm.origin.vmm,
    accelerator,
    dataDirectory: config.dataDirectory,
  };
  await writeFileDurably(at('server.json'), `${JSON.stringify(ready, null, 2)}\n`);
  undo.push(() => rm(at('server.json'), { force: true }));
  return { ready, acceleratorReason: reason };
}
