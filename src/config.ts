import os from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { dnsPort, parseAddress, parseNetwork } from './model/network-address.ts';
import { parseWarmPoolPolicy } from './model/warm-pool.ts';

/** Refuses what `read` throws for. */
function readableBy(read: (text: string) => unknown): z.ZodType<string, string> {
  return z.string().superRefine((text, context) => {
    try {
      read(text);
    } catch (error) {
      context.addIssue(error instanceof Error ? error.message : String(error));
    }
  });
}

/** Users that the conventions of Linux distributions give to nobody; enough for every process id. */
export const defaultVmmUidBase = 0x7000_0000;

const port = z.number().int().min(0).max(65_535);

/** Every option of the server: file, environment and flags all end here. */
export const configSchema = z.object({
  /** Directory for all state of this server. Two servers with different ones do not know of each other. */
  dataDirectory: z.string().min(1).default(defaultDataDirectory()),
  /**
   * PostgreSQL database for the metadata, as `postgres://USER@HOST:PORT/DATABASE`; absent: SQLite in the data directory.
   * A password is better kept in `PGPASSWORD` or ~/.pgpass than in it.
   */
  database: z.url({ protocol: /^postgres(ql)?$/ }).optional(),
  /** Directory of the files made by `scripts/setup`; the `build` directory of the checkout when absent. */
  assetsDirectory: z.string().min(1).optional(),
  /** Address the control plane listens on. */
  host: z.string().min(1).default('127.0.0.1'),
  /** Port of the control plane; 0 picks a free one. */
  port: port.default(9090),
  /** Address the microVM endpoints (TLS) listen on. */
  endpointHost: z.string().min(1).default('127.0.0.1'),
  /** Port of the microVM endpoints; 0 picks a free one. */
  endpointPort: port.default(9443),
  /** Domain below which every microVM has its host name. `localhost` names resolve to this machine in curl and browsers. */
  endpointDomain: z
    .string()
    .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/)
    .default('microvm.localhost'),
  /** Files with the certificate of the endpoints, and what signed it, and with its key; absent: made by the server. */
  endpointCertificate: z.string().min(1).optional(),
  endpointKey: z.string().min(1).optional(),
  /**
   * Megabytes per second that each GiB of a microVM's memory gives its endpoint, both directions together; 0 for
   * any rate. When absent, the profile's: 2 for `aws`, any rate for `relaxed`.
   */
  endpointBandwidth: z.number().min(0).max(1_000_000).optional(),
  /** Seconds of silence in the middle of a request, WebSocket or tunnel after which its connection is closed. */
  endpointIdleTime: z.number().min(1).max(86_400).default(21_600),
  /** Seconds from a request's head to the end of its answer, of its WebSocket or tunnel; 0 for any. */
  endpointTotalTime: z.number().min(0).max(31_536_000).default(0),
  /**
   * Most connections, requests under way and requests per second, of a microVM and with a token, by their names;
   * null for any number. The others keep the profile's.
   */
  endpointLimits: z.record(z.string(), z.number().positive().max(1_000_000_000).nullable()).default({}),
  /** Address that published ports are opened on; `0.0.0.0` for other machines to reach them. */
  publishHost: z.string().min(1).default('127.0.0.1'),
  /** Networks that guests reach besides the Internet, in CIDR notation: private services meant for them. */
  egressAllow: z.array(readableBy(parseNetwork)).default([]),
  /** Name servers asked for guests, tried in order, as `ADDRESS` or `ADDRESS:PORT`; none: those of this host. */
  dnsServers: z.array(readableBy((text) => parseAddress(text, dnsPort))).default([]),
  /** STS that the execution roles of microVMs are assumed at; absent: this server's own. */
  executionRoleSts: z.url({ protocol: /^https?$/ }).optional(),
  region: z
    .string()
    .regex(/^[a-z]{2}(-[a-z]+)+-\d$/)
    .default('us-east-1'),
  accountId: z
    .string()
    .regex(/^\d{12}$/)
    .default('000000000000'),
  /** `relaxed` lifts limits where lifting is the point; `aws` keeps every documented one. */
  profile: z.enum(['relaxed', 'aws']).default('relaxed'),
  /** Calls per second that operations take, by their names; null for any number. The others keep the profile's. */
  rates: z.record(z.string(), z.number().positive().max(1_000_000).nullable()).default({}),
  /** `auto` probes by booting a guest; `tcg` and `kvm` skip the probe. */
  accelerator: z.enum(['auto', 'kvm', 'tcg']).default('auto'),
  /**
   * Where the server runs as root, the process of a microVM runs as the user of this number plus its process id.
   * The numbers from here on, one for each process id, must belong to nobody.
   */
  vmmUidBase: z.number().int().min(1000).max(0x7fff_ffff).default(defaultVmmUidBase),
  /** Memory in MiB of all microVMs that are awake; 0 takes nine tenths of the host's, or of the container's. */
  memoryBudgetMib: z.number().int().min(0).default(0),
  /** Virtual CPUs of microVMs that are awake, for each processor of the host; 0 counts none. */
  cpuOvercommit: z.number().int().min(0).default(0),
  /** Disk space in MiB that stays free besides what putting all microVMs to sleep takes. */
  diskReserveMib: z.number().int().min(0).default(1024),
  /** Whether a launch or wake that finds no room puts the microVM to sleep that has been idle for longest. */
  evictIdle: z.boolean().default(false),
  /**
   * Memory in MiB for paused processes of sleeping VMs, which wake in milliseconds; each is on the disk all the
   * same. 0, the default, keeps none: a sleeping VM then takes no memory at all.
   */
  wakeCacheMib: z.number().int().min(0).default(0),
  /**
   * VMs kept restored and paused for launches: `off`, `fixed:N` of each version launched from, or `adaptive[:MAX]`,
   * as many as its recent launches suggest.
   */
  warmPool: readableBy(parseWarmPoolPolicy).default('off'),
  /** PEM file of certificates that the steps of builds trust besides this host's; none of it comes into an image. */
  buildCa: z.string().min(1).optional(),
  /** Whether the steps of builds see the proxy variables of the server's environment. */
  buildProxy: z.boolean().default(false),
  /** Days after which the log of a build or VM that wrote nothing since is removed. */
  logRetentionDays: z.number().int().min(1).default(30),
  /** Size in MiB that one log stream keeps at most; it drops its older half when it has grown to that. */
  logStreamMib: z.number().int().min(1).default(16),
  /** Size in MiB that all logs take at most; those written to longest ago are removed first. */
  logTotalMib: z.number().int().min(1).default(4096),
  /**
   * Who may read the metrics: `open` for anyone at `/metrics`, `signed` for requests that are signed, `off` for
   * nobody. When absent, `open` where only this machine can reach the API.
   */
  metrics: z.enum(['open', 'signed', 'off']).optional(),
  /** Days after which events (state changes) are no longer known, and how many of them are kept at most. */
  eventRetentionDays: z.number().int().min(1).default(30),
  eventCount: z.number().int().min(1000).default(100_000),
  logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
});

export type Config = z.output<typeof configSchema>;
export type ConfigInput = z.input<typeof configSchema>;

function defaultDataDirectory(): string {
  if (process.getuid?.() === 0) return '/var/lib/dormouse';
  return path.join(process.env.XDG_DATA_HOME ?? path.join(os.homedir(), '.local', 'share'), 'dormouse');
}

const environmentNames: Readonly<Record<string, keyof ConfigInput>> = {
  DORMOUSE_DATA_DIR: 'dataDirectory',
  DORMOUSE_DATABASE: 'database',
  DORMOUSE_ASSETS_DIR: 'assetsDirectory',
  DORMOUSE_HOST: 'host',
  DORMOUSE_PORT: 'port',
  DORMOUSE_ENDPOINT_HOST: 'endpointHost',
  DORMOUSE_ENDPOINT_PORT: 'endpointPort',
  DORMOUSE_ENDPOINT_DOMAIN: 'endpointDomain',
  DORMOUSE_ENDPOINT_CERTIFICATE: 'endpointCertificate',
  DORMOUSE_ENDPOINT_KEY: 'endpointKey',
  DORMOUSE_ENDPOINT_BANDWIDTH: 'endpointBandwidth',
  DORMOUSE_ENDPOINT_IDLE_TIME: 'endpointIdleTime',
  DORMOUSE_ENDPOINT_TOTAL_TIME: 'endpointTotalTime',
  DORMOUSE_ENDPOINT_LIMITS: 'endpointLimits',
  DORMOUSE_PUBLISH_HOST: 'publishHost',
  DORMOUSE_EGRESS_ALLOW: 'egressAllow',
  DORMOUSE_DNS_SERVERS: 'dnsServers',
  DORMOUSE_EXECUTION_ROLE_STS: 'executionRoleSts',
  DORMOUSE_REGION: 'region',
  DORMOUSE_ACCOUNT_ID: 'accountId',
  DORMOUSE_PROFILE: 'profile',
  DORMOUSE_RATES: 'rates',
  DORMOUSE_ACCELERATOR: 'accelerator',
  DORMOUSE_VMM_UID_BASE: 'vmmUidBase',
  DORMOUSE_MEMORY_BUDGET_MIB: 'memoryBudgetMib',
  DORMOUSE_CPU_OVERCOMMIT: 'cpuOvercommit',
  DORMOUSE_DISK_RESERVE_MIB: 'diskReserveMib',
  DORMOUSE_EVICT_IDLE: 'evictIdle',
  DORMOUSE_BUILD_CA: 'buildCa',
  DORMOUSE_BUILD_PROXY: 'buildProxy',
  DORMOUSE_WAKE_CACHE_MIB: 'wakeCacheMib',
  DORMOUSE_WARM_POOL: 'warmPool',
  DORMOUSE_LOG_RETENTION_DAYS: 'logRetentionDays',
  DORMOUSE_LOG_STREAM_MIB: 'logStreamMib',
  DORMOUSE_LOG_TOTAL_MIB: 'logTotalMib',
  DORMOUSE_METRICS: 'metrics',
  DORMOUSE_EVENT_RETENTION_DAYS: 'eventRetentionDays',
  DORMOUSE_EVENT_COUNT: 'eventCount',
  DORMOUSE_LOG_LEVEL: 'logLevel',
};

const switches: ReadonlySet<string> = new Set(['evictIdle', 'buildProxy']);
const numeric: ReadonlySet<string> = new Set([
  'port',
  'endpointPort',
  'endpointBandwidth',
  'endpointIdleTime',
  'endpointTotalTime',
  'vmmUidBase',
  'memoryBudgetMib',
  'cpuOvercommit',
  'diskReserveMib',
  'wakeCacheMib',
  'logRetentionDays',
  'logStreamMib',
  'logTotalMib',
  'eventRetentionDays',
  'eventCount',
]);

/** Separated by commas. */
const lists: ReadonlySet<string> = new Set(['egressAllow', 'dnsServers']);

type Numbers = Readonly<Record<string, number | null>>;

/**
 * Reads `NAME=50` or `NAME=off`.
 * @throws {RangeError} it is neither
 */
function parseNumber(text: string, kind: string, example: string): Numbers {
  const [, name, number] = /^([\w-]+)=(off|\d+(?:\.\d+)?)$/.exec(text.trim()) ?? [];
  if (name === undefined)
    throw new RangeError(`not a ${kind} such as ${example}=50 or ${example}=off: ${text}`);
  return { [name]: number === 'off' ? null : Number(number) };
}

/** @throws {RangeError} */
export const parseRate = (text: string): Numbers => parseNumber(text, 'rate', 'RunMicrovm');

/** @throws {RangeError} */
export const parseLimit = (text: string): Numbers => parseNumber(text, 'limit', 'token-connections');

function readVariable(option: string, value: string): unknown {
  if (option === 'rates') return readNumbers(option, value, parseRate);
  if (option === 'endpointLimits') return readNumbers(option, value, parseLimit);
  if (lists.has(option)) return value.split(',').map((item) => item.trim());
  if (switches.has(option) && (value === 'true' || value === 'false')) return value === 'true';
  return numeric.has(option) ? Number(value) : value;
}

function readNumbers(option: string, value: string, parse: (text: string) => Numbers): object {
  try {
    return Object.assign({}, ...value.split(',').map(parse));
  } catch (error) {
    throw new ConfigError(`invalid configuration\n${option}: ${(error as Error).message}`);
  }
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/**
 * Flags win over environment variables, these over defaults.
 * @throws {ConfigError} one line per problem, naming the option
 */
export function loadConfig(flags: Partial<ConfigInput>, environment: NodeJS.ProcessEnv): Config {
  const fromEnvironment = Object.entries(environmentNames).flatMap(([variable, option]) => {
    const value = environment[variable];
    if (value === undefined || value === '') return [];
    return [[option, readVariable(option, value)] as const];
  });
  const given = Object.entries(flags).filter(([, value]) => value !== undefined);
  const parsed = configSchema.safeParse(Object.fromEntries([...fromEnvironment, ...given]));
  if (!parsed.success) {
    const lines = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new ConfigError(`invalid configuration\n${lines.join('\n')}`);
  }
  return { ...parsed.data, dataDirectory: path.resolve(parsed.data.dataDirectory) };
}
