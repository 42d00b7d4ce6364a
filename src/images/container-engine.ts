import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFileDurably } from '../blobs/durable.ts';
import { removeIdleBuildGroup } from './build-group.ts';
import { type CommandOptions, type CommandResult, runCommand } from './command.ts';
import { stepLimits } from './process-limits.ts';

export interface ContainerEngineOptions {
  /**
   * The engine's own directory: below it its image store with the layer cache, and its configuration, which no build
   * can write.
   */
  readonly directory: string;
  /** containers/storage root of the base images; only read. */
  readonly baseStorage: string;
  /** Where registries and proxies are told: `HTTPS_PROXY`, `REGISTRY_AUTH_FILE`, … */
  readonly hostEnvironment: NodeJS.ProcessEnv;
  /** PEM file of certificates that build steps trust besides those of the host; none when absent. */
  readonly extraCertificates?: string | undefined;
  /** Whether build steps see the proxy variables of `hostEnvironment`; the engine itself always does. */
  readonly proxyForSteps: boolean;
  /** User id of the server; any but 0 gets a user namespace of its own. */
  readonly userId: number;
}

/** Variables of the host that builds get to see; no other reaches a command. */
const passedOn = [
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'REGISTRY_AUTH_FILE',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
];

/** Those that Debian's programs trust. */
const hostCertificates = '/etc/ssl/certs/ca-certificates.crt';

/** Files of the host a confined program gets to see, as absolute paths. */
export interface ConfinedPaths {
  readonly readOnly: readonly string[];
  readonly writable: readonly string[];
}

type RunOptions = Pick<CommandOptions, 'signal' | 'onOutput'>;

const sandbox = fileURLToPath(new URL('./build-sandbox', import.meta.url));

/**
 * What the root of a build step may do. Making devices, changing roots and sending raw packets, which other
 * builders allow, are left out.
 */
const capabilities = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_NET_BIND_SERVICE',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
];
/** Processes of a build; root's builds are also limited by their control group. */
export const mostBuildProcesses = 4_096;
/** First release that reads here-documents in a Dockerfile. */
const heredocsSince = [1, 35] as const;

/** Reads with which driver the base images were made, and what tells one making of them from another. */
async function readBaseStorage(
  directory: string,
): Promise<{ readonly driver: 'overlay' | 'vfs'; readonly layers: Buffer } | undefined> {
  for (const driver of ['overlay', 'vfs'] as const) {
    try {
      return { driver, layers: await readFile(path.join(directory, `${driver}-layers`, 'layers.json')) };
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    }
  }
  return undefined;
}

/**
 * Runs buildah on a store of its own. Each command has its own mount and process namespaces and dies with the
 * server, so that whatever happens no mount and no process of a build is left on the host.
 */
export class ContainerEngine {
  readonly #options: ContainerEngineOptions;
  readonly #environment: Readonly<Record<string, string>>;

  constructor(options: ContainerEngineOptions) {
    this.#options = options;
    this.#environment = {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: this.#at('home'),
      XDG_RUNTIME_DIR: this.#at('run'),
      TMPDIR: this.#at('tmp'),
      LC_ALL: 'C.UTF-8',
      CONTAINERS_CONF: this.#setting('containers.conf'),
      CONTAINERS_STORAGE_CONF: this.#setting('storage.conf'),
      CONTAINERS_REGISTRIES_CONF: this.#setting('registries.conf'),
      ...Object.fromEntries(
        passedOn.flatMap((name) => {
          const value = options.hostEnvironment[name];
          return value === undefined ? [] : [[name, value]];
        }),
      ),
    };
  }

  /** Makes the directories and writes the configuration; call before anything else. */
  async prepare(): Promise<void> {
    for (const name of ['empty', 'home', 'networks', 'run', 'tmp']) {
      await mkdir(this.#at(name), { recursive: true, mode: 0o700 });
    }
    await mkdir(this.#settings, { recursive: true, mode: 0o700 });
    const base = await readBaseStorage(this.#options.baseStorage);
    const storage = JSON.stringify(await this.#storageOn(base?.layers ?? ''));
    // An ordinary user's store is not graphroot. Devices that an image brings along stay files without a meaning.
    await writeFileDurably(
      this.#setting('storage.conf'),
      `[storage]
driver = "${base?.driver ?? 'overlay'}"
graphroot = ${storage}
rootless_storage_path = ${storage}
runroot = ${JSON.stringify(this.#at('run'))}
[storage.options]
additionalimagestores = ${JSON.stringify(base === undefined ? [] : [this.#options.baseStorage])}
[storage.options.overlay]
mountopt = "nodev"
`,
    );
    const limits = await stepLimits({ nproc: mostBuildProcesses });
    await writeFileDurably(
      this.#setting('containers.conf'),
      `[containers]
default_capabilities = ${JSON.stringify(capabilities)}
default_ulimits = ${JSON.stringify(limits)}
[network]
network_config_dir = ${JSON.stringify(this.#at('networks'))}
`,
    );
    await this.#writeCertificates();
    await writeFileDurably(
      this.#setting('registries.conf'),
      'unqualified-search-registries = ["docker.io"]\nshort-name-mode = "permissive"\n',
    );
    await writeFileDurably(this.#setting('policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}\n');
  }

  /** Option of the commands that may fetch an image. */
  get policy(): readonly string[] {
    return ['--signature-policy', this.#setting('policy.json')];
  }

  /** PEM file of all certificates that build steps are to trust; undefined where those of their image are enough. */
  get stepCertificates(): string | undefined {
    return this.#options.extraCertificates === undefined ? undefined : this.#setting('certificates.pem');
  }

  /** Options of a build that say what its steps see of the host. */
  get stepOptions(): readonly string[] {
    return [`--http-proxy=${this.#options.proxyForSteps}`];
  }

  /** A directory that holds nothing. */
  get emptyDirectory(): string {
    return this.#at('empty');
  }

  /** Whether its builder reads here-documents. */
  async knowsHeredocs(signal: AbortSignal): Promise<boolean> {
    const { stdout } = await this.buildah(['--version'], { signal });
    const [, major = 0, minor = 0] = /version (\d+)\.(\d+)/.exec(stdout) ?? [];
    const [wantedMajor, wantedMinor] = heredocsSince;
    return Number(major) > wantedMajor || (Number(major) === wantedMajor && Number(minor) >= wantedMinor);
  }

  /** Runs `buildah` with these arguments. */
  async buildah(args: readonly string[], options: RunOptions): Promise<CommandResult> {
    return await this.run(['buildah', ...args], options);
  }

  /** Runs any program in the namespaces in which the engine's containers can be mounted. */
  async run(argv: readonly string[], options: RunOptions): Promise<CommandResult> {
    return await this.#run(argv, options);
  }

  /**
   * Runs a program that runs or reads what an image brings along: on a root that holds the host's programs, the engine's
   * store and these paths, with shared limits on memory and processes (see build-sandbox).
   * @param options.variables besides the engine's own
   */
  async runConfined(
    argv: readonly string[],
    paths: ConfinedPaths,
    { variables, ...options }: RunOptions & { readonly variables?: Readonly<Record<string, string>> },
  ): Promise<CommandResult> {
    const { SSL_CERT_FILE, SSL_CERT_DIR, REGISTRY_AUTH_FILE } = this.#environment;
    const configured = [SSL_CERT_FILE, SSL_CERT_DIR, REGISTRY_AUTH_FILE];
    const readOnly = [this.#options.baseStorage, this.#settings, ...paths.readOnly, ...configured];
    const writable = [this.#work, ...paths.writable];
    try {
      return await this.#run(
        [
          sandbox,
          ...readOnly.flatMap((name) => (name === undefined ? [] : ['--read-only', name])),
          ...writable.flatMap((name) => ['--writable', name]),
          '--',
          ...argv,
        ],
        options,
        variables,
      );
    } finally {
      await removeIdleBuildGroup();
    }
  }

  /**
   * Removes what builds that did not end in order have left in the store: working containers and layers no
   * image refers to. Only while no build is running.
   */
  async tidy(signal: AbortSignal): Promise<void> {
    await removeIdleBuildGroup();
    const nothing = { readOnly: [], writable: [] };
    await this.runConfined(['buildah', 'rm', '--all'], nothing, { signal });
    await this.runConfined(['buildah', 'rmi', '--prune', '--force'], nothing, { signal });
    await this.remove(this.#at('tmp'), signal);
    await mkdir(this.#at('tmp'), { recursive: true, mode: 0o700 });
  }

  /**
   * Directory of the store that goes with these base layers. Cached layers stand on them and are worthless, and
   * an error to the engine, once the base images have been made anew: stores on others are removed.
   */
  async #storageOn(baseLayers: Uint8Array | string): Promise<string> {
    const name = `storage-${createHash('sha256').update(baseLayers).digest('hex').slice(0, 16)}`;
    for (const entry of await readdir(this.#work)) {
      if (entry.startsWith('storage-') && entry !== name) {
        await this.remove(this.#at(entry));
      }
    }
    return this.#at(name);
  }

  /** Some of the files belong to users of the engine's user namespace, and only there can they be removed. */
  async remove(directory: string, signal = new AbortController().signal): Promise<void> {
    await this.run(['rm', '-rf', '--one-file-system', '--', directory], { signal });
  }

  async #writeCertificates(): Promise<void> {
    const { extraCertificates } = this.#options;
    const target = this.stepCertificates;
    if (extraCertificates === undefined || target === undefined) return;
    const extra = await readFile(extraCertificates, 'utf8');
    if (!extra.includes('-----BEGIN CERTIFICATE-----')) {
      throw new Error(`${extraCertificates} holds no certificate in PEM`);
    }
    const known = await readFile(hostCertificates, 'utf8').catch(() => '');
    await writeFileDurably(target, `${known}\n${extra}`);
  }

  async #run(
    argv: readonly string[],
    options: RunOptions,
    variables: Readonly<Record<string, string>> = {},
  ): Promise<CommandResult> {
    const environment = { ...variables, ...this.#environment };
    return await runCommand([...this.#isolation(), ...argv], { ...options, environment });
  }

  get #work(): string {
    return path.join(this.#options.directory, 'work');
  }

  get #settings(): string {
    return path.join(this.#options.directory, 'settings');
  }

  #at(name: string): string {
    return path.join(this.#work, name);
  }

  #setting(name: string): string {
    return path.join(this.#settings, name);
  }

  #isolation(): readonly string[] {
    const dieWithParent = ['setpriv', '--pdeathsig', 'KILL'];
    const namespaces = ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
    const userNamespace = this.#options.userId === 0 ? [] : [...dieWithParent, 'buildah', 'unshare', '--'];
    return [...userNamespace, ...dieWithParent, ...namespaces];
  }
}
