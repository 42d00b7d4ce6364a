import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, readlink } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { LambdaMicrovmsClient } from '@aws-sdk/client-lambda-microvms';
import { S3Client } from '@aws-sdk/client-s3';
import { removeDirectory } from '../../scripts/support/remove-directory.ts';

const program = fileURLToPath(new URL('../../bin/dormouse', import.meta.url));

/** What `dormouse serve --ready-json` prints. */
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

/** How a test talks to a server, wherever that runs. */
export type ServerClients = Pick<DormouseServer, 'ready' | 'client' | 's3'>;

/** A real server in a process of its own, on free ports and a data directory of its own. */
export class DormouseServer {
  readonly ready: Ready;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, ready: Ready) {
    this.#child = child;
    this.ready = ready;
  }

  static async start(dataDirectory: string, flags: readonly string[] = []): Promise<DormouseServer> {
    const child = spawn(
      program,
      ['serve', '--ready-json', '--port', '0', '--endpoint-port', '0', '--data-dir', dataDirectory, ...flags],
      { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, DORMOUSE_LOG_LEVEL: 'info' } },
    );
    const log: Buffer[] = [];
    child.stderr?.on('data', (chunk: Buffer) => log.push(chunk));
    if (child.stdout === null) throw new Error('the server has no standard output');
    const lines = createInterface({ input: child.stdout });
    const first = await Promise.race([
      once(lines, 'line').then(([line]) => String(line)),
      once(child, 'exit').then(([code]) => {
        throw new Error(`the server exited with ${code}:\n${Buffer.concat(log).toString()}`);
      }),
    ]);
    return new DormouseServer(child, JSON.parse(first) as Ready);
  }

  get client(): LambdaMicrovmsClient {
    return new LambdaMicrovmsClient({ endpoint: this.ready.apiEndpoint, ...this.#identity });
  }

  get s3(): S3Client {
    return new S3Client({ endpoint: this.ready.s3Endpoint, forcePathStyle: true, ...this.#identity });
  }

  /** Ends the server at once, as a crash would. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  get #identity() {
    const { region, accessKeyId, secretAccessKey } = this.ready;
    return { region, credentials: { accessKeyId, secretAccessKey } };
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill(signal);
    await exited;
  }
}

export async function temporaryDirectory(): Promise<string> {
  return await mkdtemp(path.join(os.tmpdir(), 'dormouse-test-'));
}

/** Ids of the processes that have `directory` as their working directory or on their command line. */
export async function processesUsing(directory: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    const commandLine = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    const workingDirectory = await readlink(`/proc/${entry}/cwd`).catch(() => '');
    if (commandLine.includes(directory) || workingDirectory.startsWith(directory)) found.push(Number(entry));
  }
  return found;
}

/** Ends whatever a test left behind and removes its directory. */
export async function removeDataDirectory(directory: string): Promise<void> {
  for (const pid of await processesUsing(directory)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself meanwhile.
    }
  }
  await removeDirectory(directory);
}
