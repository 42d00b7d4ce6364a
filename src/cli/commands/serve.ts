import { once } from 'node:events';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type ConfigInput, configSchema, loadConfig, parseLimit, parseRate } from '../../config.ts';
import { collect, parseAmount, parseCount, parseMemory, parsePort } from '../arguments.ts';
import { note, print } from '../output.ts';
import { examples } from '../remote-command.ts';

interface ServeOptions {
  readonly readyJson?: true;
  readonly host?: string;
  readonly port?: number;
  readonly endpointHost?: string;
  readonly endpointPort?: number;
  readonly endpointDomain?: string;
  readonly endpointCertificate?: string;
  readonly endpointKey?: string;
  readonly endpointBandwidth?: number;
  readonly endpointIdleTime?: number;
  readonly endpointTotalTime?: number;
  readonly endpointLimit?: ConfigInput['endpointLimits'];
  readonly publishHost?: string;
  readonly egressAllow?: string[];
  readonly executionRoleSts?: string;
  readonly dnsServer?: string[];
  readonly dataDir?: string;
  readonly database?: string;
  readonly assetsDir?: string;
  readonly region?: string;
  readonly accountId?: string;
  readonly profile?: ConfigInput['profile'];
  readonly rate?: ConfigInput['rates'];
  readonly accelerator?: ConfigInput['accelerator'];
  readonly vmmUidBase?: number;
  readonly memoryBudget?: number;
  readonly cpuOvercommit?: number;
  readonly diskReserve?: number;
  readonly evictIdle?: true;
  readonly buildCa?: string;
  readonly buildProxy?: true;
  readonly wakeCache?: number;
  readonly warmPool?: string;
  readonly logRetentionDays?: number;
  readonly logStreamSize?: number;
  readonly logTotalSize?: number;
  readonly metrics?: ConfigInput['metrics'];
  readonly eventRetentionDays?: number;
  readonly eventCount?: number;
  readonly logLevel?: ConfigInput['logLevel'];
}

const choices = configSchema.shape;

export function addServe(program: Command): void {
  const command = program
    .command('serve')
    .description('run the server until it is interrupted; microVMs outlive it')
    .option('--ready-json', 'print one line of JSON once requests are accepted')
    .option('--host <address>', 'address of the API')
    .option('--port <port>', 'port of the API; 0 picks a free one (default: 9090)', parsePort)
    .option('--endpoint-host <address>', "address of the microVMs' endpoints")
    .option(
      '--endpoint-port <port>',
      "port of the microVMs' endpoints; 0 picks a free one (default: 9443)",
      parsePort,
    )
    .option('--endpoint-domain <domain>', "domain of the microVMs' host names")
    .option(
      '--endpoint-certificate <file>',
      "PEM of a certificate for all of the microVMs' host names and what signed it (default: made by the server)",
    )
    .option('--endpoint-key <file>', 'PEM of its private key')
    .option(
      '--endpoint-bandwidth <number>',
      'MB/s that a microVM gets through its endpoint for each GiB of its memory; 0 for any (default: 0, aws: 2)',
      parseAmount,
    )
    .option(
      '--endpoint-idle-time <seconds>',
      'silence after which a request, WebSocket or tunnel is given up (default: 21600)',
      parseAmount,
    )
    .option(
      '--endpoint-total-time <seconds>',
      'most that a request, WebSocket or tunnel takes in all; 0 for any time (default: 0)',
      parseAmount,
    )
    .option(
      '--endpoint-limit <name=number>',
      'most connections, requests or requests a second of a microVM or a token, or off, such as token-connections=50; may be repeated',
      collectLimit,
    )
    .option('--publish-host <address>', 'address that published ports are opened on (default: 127.0.0.1)')
    .option(
      '--egress-allow <network>',
      'network that microVMs reach besides the Internet, such as 10.1.0.0/16; may be repeated',
      collect,
    )
    .option(
      '--dns-server <address>',
      'name server to ask for microVMs (default: those of this host); may be repeated',
      collect,
    )
    .option(
      '--execution-role-sts <url>',
      "STS to assume microVMs' execution roles at, with the AWS credentials of this environment (default: its own)",
    )
    .option('--data-dir <directory>', 'directory for all state')
    .option(
      '--database <url>',
      'PostgreSQL database for the metadata, such as postgres://dormouse@db.example.com/dormouse (default: SQLite in the data directory)',
    )
    .option('--assets-dir <directory>', 'directory of the files that scripts/setup made')
    .option('--region <region>', 'region to answer for')
    .option('--account-id <id>', 'account to answer for')
    .addOption(new Option('--profile <profile>', 'limits to keep').choices(choices.profile.unwrap().options))
    .option(
      '--rate <operation=rate>',
      'calls per second that an operation takes, or off, such as RunMicrovm=50; may be repeated',
      collectRate,
    )
    .addOption(
      new Option('--accelerator <accelerator>', 'hardware virtualisation, emulation, or what works').choices(
        choices.accelerator.unwrap().options,
      ),
    )
    .option(
      '--vmm-uid-base <number>',
      'microVM processes run as the user of this number plus their process id (default: 1879048192)',
      parseCount,
    )
    .option(
      '--memory-budget <size>',
      "memory for microVMs that are awake (default: nine tenths of the host's)",
      parseMemory,
    )
    .option(
      '--cpu-overcommit <number>',
      'virtual CPUs awake for each processor (default: any number)',
      parseCount,
    )
    .option('--disk-reserve <size>', 'disk space that launches leave free (default: 1G)', parseMemory)
    .option('--evict-idle', 'put the microVM to sleep that is idle for longest when another finds no room')
    .option('--build-ca <file>', 'PEM of certificates that build steps trust besides those of this host')
    .option('--build-proxy', "let build steps see this environment's proxy variables")
    .option('--wake-cache <size>', 'memory for sleeping microVMs that wake in milliseconds', parseMemory)
    .option(
      '--warm-pool <size>',
      'VMs kept ready for launches of an image: off, fixed:N, adaptive or adaptive:MAX (default: off)',
    )
    .option('--log-retention-days <days>', 'days to keep logs of VMs and builds (default: 30)', parseCount)
    .option(
      '--log-stream-size <size>',
      'most that the log of one VM or build takes (default: 16M)',
      parseMemory,
    )
    .option('--log-total-size <size>', 'most that all logs take (default: 4G)', parseMemory)
    .addOption(
      new Option(
        '--metrics <access>',
        'who reads the metrics: anyone, those who sign, nobody (default: open on loopback, else signed)',
      ).choices(choices.metrics.unwrap().options),
    )
    .option('--event-retention-days <days>', 'days to keep events (default: 30)', parseCount)
    .option('--event-count <count>', 'most events to keep (default: 100000)', parseCount)
    .addOption(
      new Option('--log-level <level>', 'least level to log').choices(choices.logLevel.unwrap().options),
    )
    .action(serve);
  examples(
    command,
    'dormouse serve',
    'dormouse serve --port 0 --endpoint-port 0 --data-dir /tmp/one --ready-json',
    'dormouse serve --profile aws --rate SuspendMicrovm=20',
  );
}

const collectRate = collected(parseRate);
const collectLimit = collected(parseLimit);

/** Reads an option that may be repeated, each time for another name. */
function collected<Numbers extends object>(parse: (text: string) => Numbers) {
  return (text: string, earlier: Numbers | undefined): Numbers => {
    try {
      return { ...earlier, ...parse(text) };
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message);
    }
  };
}

async function serve(options: ServeOptions): Promise<void> {
  const {
    readyJson,
    rate,
    endpointLimit,
    dnsServer,
    dataDir,
    assetsDir,
    memoryBudget,
    diskReserve,
    wakeCache,
    logStreamSize,
    logTotalSize,
    ...rest
  } = options;
  const config = loadConfig(
    {
      ...rest,
      ...(rate === undefined ? {} : { rates: rate }),
      ...(endpointLimit === undefined ? {} : { endpointLimits: endpointLimit }),
      ...(memoryBudget === undefined ? {} : { memoryBudgetMib: memoryBudget }),
      ...(diskReserve === undefined ? {} : { diskReserveMib: diskReserve }),
      ...(wakeCache === undefined ? {} : { wakeCacheMib: wakeCache }),
      ...(logStreamSize === undefined ? {} : { logStreamMib: logStreamSize }),
      ...(logTotalSize === undefined ? {} : { logTotalMib: logTotalSize }),
      ...(dnsServer === undefined ? {} : { dnsServers: dnsServer }),
      ...(dataDir === undefined ? {} : { dataDirectory: dataDir }),
      ...(assetsDir === undefined ? {} : { assetsDirectory: assetsDir }),
    },
    process.env,
  );
  const stop = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  // Loaded only here: the other commands need nothing of the server.
  const { startServer } = await import('../../main.ts');
  const server = await startServer(config);
  if (readyJson) {
    print(JSON.stringify(server.ready));
  } else {
    note(
      `Dormouse answers at ${server.ready.apiEndpoint} (${server.ready.vmm}, ${server.ready.accelerator}).`,
    );
    note('In another shell: eval "$(dormouse env)"; dormouse ps');
  }
  await stop;
  await server.close();
}
