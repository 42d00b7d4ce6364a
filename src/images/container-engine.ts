import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFileDurably } from '../blobs/durable.ts';
import { removeIdleBuildGroup } from './build-group.ts';
import { type CommandOptions, type CommandResult, runCommand } from './command.ts';
import { stepLimits } from './process-limits.ts';

export interface ContainerEngineOptions {
  /** The engine's own directory: its image store with the layer cache, and its configuration. */
  readonly directory: string;
  /** containers/storage root of the base images; only read. */
  readonly baseStorage: string;
  /** Where registries and proxies are told: `HTTPS_PROXY`, `REGISTRY_AUTH_FILE`, … */
  readonly hostEnvironment: NodeJS.ProcessEnv;
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

/** Files of the host a confined program gets to see, as absolute paths. */
export interface ConfinedPaths {
  readonly readOnly: readonly string[];
  readonly writable: readonly string[];
}

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
/** Of one build step; root's builds are also limited by their control group. */
const stepProcesses = 4_096;

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
      CONTAINERS_CONF: this.#at('containers.conf'),
      CONTAINERS_STORAGE_CONF: this.#at('storage.conf'),
      CONTAINERS_REGISTRIES_CONF: this.#at('registries.conf'),
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
    for (const directory of ['home', 'networks', 'run', 'tmp']) {
      await mkdir(this.#at(directory), { recursive: true, mode: 0o700 });
    }
    const base = await readBaseStorage(this.#options.baseStorage);
    const storage = JSON.stringify(await this.#storageOn(base?.layers ?? ''));
    // An ordinary user's store is not graphroot. Devices that an image brings along stay files without a meaning.
    await writeFileDurably(
      this.#at('storage.conf'),
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
    const limits = await stepLimits({ nproc: stepProcesses });
    await writeFileDurably(
      this.#at('containers.conf'),
      `[containers]
default_capabilities = ${JSON.stringify(capabilities)}
default_ulimits = ${JSON.stringify(limits)}
[network]
network_config_dir = ${JSON.stringify(this.#at('networks'))}
`,
    );
    await writeFileDurably(
      this.#at('registries.conf'),
      'unqualified-search-registries = ["docker.io"]\nshort-name-mode = "permissive"\n',
    );
    await writeFileDurably(this.#at('policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}\n');
  }

  /** Option of the commands that may fetch an image. */
  get policy(): readonly string[] {
    return ['--signature-policy', this.#at('policy.json')];
  }

  /** Runs `buildah` with these arguments. */
  async buildah(
    args: readonly string[],
    options: Pick<CommandOptions, 'signal' | 'onOutput'>,
  ): Promise<CommandResult> {
    return await this.run(['buildah', ...args], options);
  }

  /** Runs any program in the namespaces in which the engine's containers can be mounted. */
  async run(
    argv: readonly string[],
    options: Pick<CommandOptions, 'signal' | 'onOutput'>,
  ): Promise<CommandResult> {
    return await runCommand([...this.#isolation(), ...argv], { ...options, environment: this.#environment });
  }

  /**
   * Runs a program that runs what an image brings along: on a root that holds the host's programs, the engine's
   * directory and these paths, with shared limits on memory and processes (see build-sandbox).
   */
  async runConfined(
    argv: readonly string[],
    paths: ConfinedPaths,
    options: Pick<CommandOptions, 'signal' | 'onOutput'>,
  ): Promise<CommandResult> {
    const { SSL_CERT_FILE, SSL_CERT_DIR, REGISTRY_AUTH_FILE } = this.#environment;
    const configured = [SSL_CERT_FILE, SSL_CERT_DIR, REGISTRY_AUTH_FILE];
    const readOnly = [this.#options.baseStorage, ...paths.readOnly, ...configured];
    const writable = [this.#options.directory, ...paths.writable];
    try {
      return await this.run(
        [
          sandbox,
          ...readOnly.flatMap((name) => (name === undefined ? [] : ['--read-only', name])),
          ...writable.flatMap((name) => ['--writable', name]),
          '--',
          ...argv,
        ],
        options,
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
    await this.buildah(['rm', '--all'], { signal });
    await this.buildah(['rmi', '--prune', '--force'], { signal });
    await this.#remove(this.#at('tmp'), signal);
    await mkdir(this.#at('tmp'), { recursive: true, mode: 0o700 });
  }

  /**
   * Directory of the store that goes with these base layers. Cached layers stand on them and are worthless, and
   * an error to the engine, once the base images have been made anew: stores on others are removed.
   */
  async #storageOn(baseLayers: Uint8Array | string): Promise<string> {
    const name = `storage-${createHash('sha256').update(baseLayers).digest('hex').slice(0, 16)}`;
    for (const entry of await readdir(this.#options.directory)) {
      if (entry.startsWith('storage-') && entry !== name) {
        await this.#remove(this.#at(entry), new AbortController().signal);
      }
    }
    return this.#at(name);
  }

  /** Some of the files belong to users of the engine's user namespace, and only there can they be removed. */
  async #remove(directory: string, signal: AbortSignal): Promise<void> {
    await this.run(['rm', '-rf', '--one-file-system', '--', directory], { signal });
  }

  #at(name: string): string {
    return path.join(this.#options.directory, name);
  }

  #isolation(): readonly string[] {
    const dieWithParent = ['setpriv', '--pdeathsig', 'KILL'];
    const namespaces = ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
    const userNamespace = this.#options.userId === 0 ? [] : [...dieWithParent, 'buildah', 'unshare', '--'];
    return [...userNamespace, ...dieWithParent, ...namespaces];
  }
}
