import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../bin/dormouse', import.meta.url));

/** The line that `dormouse serve --ready-json` prints. */
export interface Ready {
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

export interface ServerOptions {
  readonly dataDirectory: string;
  /** Further flags of `dormouse serve`. */
  readonly flags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

const logTail = 16 * 1024;

/** A server as anyone starts it: `dormouse serve`, on free ports. */
export class ServerProcess {
  readonly ready: Ready;
  readonly #child: ChildProcess;
  readonly #environment: NodeJS.ProcessEnv;

  private constructor(child: ChildProcess, ready: Ready, environment: NodeJS.ProcessEnv) {
    this.#child = child;
    this.ready = ready;
    this.#environment = environment;
  }

  /** Resolves when it accepts requests; rejects with the end of its log when it exits before that. */
  static async start(options: ServerOptions, signal?: AbortSignal): Promise<ServerProcess> {
    const { dataDirectory, flags = [] } = options;
    const environment = { ...process.env, DORMOUSE_LOG_LEVEL: 'warn', ...options.environment };
    const ports = ['--port', '0', '--endpoint-port', '0'];
    const child = spawn(program, ['serve', '--ready-json', ...ports, '--data-dir', dataDirectory, ...flags], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environment,
      // Ctrl-C is for whoever started us; the server is stopped in order, by us.
      detached: true,
    });
    let log = '';
    child.stderr.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-logTail);
    });
    const abort = (): boolean => child.kill('SIGTERM');
    signal?.addEventListener('abort', abort);
    try {
      const line = await Promise.race([
        once(createInterface({ input: child.stdout }), 'line').then(([text]) => String(text)),
        once(child, 'exit').then(([code]) => {
          throw new Error(`dormouse serve exited with ${code}\n${log}`);
        }),
      ]);
      return new ServerProcess(child, JSON.parse(line) as Ready, environment);
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /**
   * One `dormouse` command with `--json`; resolves with what it printed.
   * @param onLine told of each line of its standard error
   */
  async command(
    words: readonly string[],
    options: { readonly signal?: AbortSignal; readonly onLine?: (line: string) => void } = {},
  ): Promise<unknown> {
    const child = spawn(program, [...words, '--json', '--data-dir', this.ready.dataDirectory], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: this.#environment,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    const exited = once(child, 'close');
    let errors = '';
    createInterface({ input: child.stderr }).on('line', (line) => {
      errors = `${errors}${line}\n`.slice(-logTail);
      options.onLine?.(line);
    });
    const output = Array.fromAsync(child.stdout as AsyncIterable<Buffer>);
    const [code] = (await exited) as [number | null];
    if (code !== 0) throw new Error(`dormouse ${words[0]} failed:\n${errors}`);
    return JSON.parse(Buffer.concat(await output).toString());
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Resolves when it has ended, however that came. */
  async ended(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }

  /** As a person stops it; microVMs go on. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  /** As a crash ends it; microVMs go on. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill(signal);
    await exited;
  }
}
