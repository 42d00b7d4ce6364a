import { mkdir, mkdtemp, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { callExtension } from '../../scripts/support/extension.ts';
import { removeEverything } from '../../scripts/support/leftovers.ts';
import { type LaunchedMicrovm, MicrovmClient } from '../../scripts/support/microvm-client.ts';
import { ServerProcess } from '../../scripts/support/server-process.ts';
import type { TraceSummary } from '../../src/telemetry/trace.ts';
import type { Target } from '../endpoint/load.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const pollMs = 10;

/** What the host knows of a microVM (`dormouse inspect`). */
export interface HostFigures {
  readonly vmmPid: number | null;
  readonly residentBytes: number | null;
  readonly proportionalBytes: number | null;
  readonly diskBytes: number;
  readonly traces: Readonly<Partial<Record<'launch' | 'suspend' | 'resume', TraceSummary>>>;
}

/** A server of its own with the counter image, and a client that asks for states every 10 ms. */
export class Laboratory {
  readonly client: MicrovmClient;
  readonly accelerator: string;
  readonly #server: ServerProcess;

  private constructor(server: ServerProcess, client: MicrovmClient) {
    this.#server = server;
    this.client = client;
    this.accelerator = `${server.ready.vmm}/${server.ready.accelerator}`;
  }

  /** Runs `work` and removes everything after it, however it ended. */
  static async with(
    work: (laboratory: Laboratory) => Promise<void>,
    flags: readonly string[] = [],
  ): Promise<void> {
    await mkdir(path.join(root, 'build'), { recursive: true });
    const scratch = await mkdtemp(path.join(root, 'build', 'bench-'));
    const interruption = new AbortController();
    const interrupt = (): void => interruption.abort(new Error('interrupted'));
    process.once('SIGINT', interrupt);
    process.once('SIGTERM', interrupt);
    const aborted = new Promise<never>((_resolve, reject) => {
      interruption.signal.addEventListener('abort', () => reject(interruption.signal.reason));
    });
    try {
      const server = await ServerProcess.start(
        { dataDirectory: path.join(scratch, 'data'), flags },
        interruption.signal,
      );
      const client = await MicrovmClient.open(server.ready, pollMs);
      await Promise.race([work(new Laboratory(server, client)), aborted]);
      client.close();
      await server.stop();
    } finally {
      await removeEverything(scratch);
    }
  }

  imageArn(name: string): string {
    const { region, accountId } = this.#server.ready;
    return `arn:aws:lambda:${region}:${accountId}:microvm-image:${name}`;
  }

  /** Builds the counter without hooks, so that what is measured is the server and not the application. */
  async build(
    name = 'counter',
    onLine?: (line: string) => void,
    context = path.join(root, 'examples', 'counter'),
  ): Promise<void> {
    await this.#server.command(
      ['build', context, '--name', name, '--memory', '256'],
      onLine === undefined ? {} : { onLine },
    );
  }

  async inspect(microvm: LaunchedMicrovm): Promise<HostFigures> {
    return (await callExtension(this.ready, 'GET', `microvms/${microvm.microvmId}`)) as HostFigures;
  }

  /** Milliseconds that the server's latest transition of a kind took. */
  async took(microvm: LaunchedMicrovm, transition: 'launch' | 'suspend' | 'resume'): Promise<number> {
    const trace = (await this.inspect(microvm)).traces[transition];
    if (trace === undefined) throw new Error(`there is no trace of a ${transition}`);
    return trace.durationMs;
  }

  async fork(microvm: LaunchedMicrovm, count: number): Promise<readonly LaunchedMicrovm[]> {
    const answer = await callExtension(this.ready, 'POST', `microvms/${microvm.microvmId}/fork`, { count });
    return (answer as { readonly items: readonly LaunchedMicrovm[] }).items;
  }

  /** Waits until so many VMs are kept ready for launches. */
  async untilKeptReady(count: number): Promise<void> {
    const url = new URL('/metrics', this.#server.ready.apiEndpoint);
    const enough = new RegExp(`^dormouse_warm_pool_microvms ${count}$`, 'm');
    while (!enough.test(await (await fetch(url)).text())) await delay(pollMs);
  }

  /** Directory of the snapshot of an image's first version. */
  snapshotOf(name = 'counter'): string {
    return path.join(this.#server.ready.dataDirectory, 'images', 'versions', name, '1.0', 'snapshot');
  }

  /** A directory beside the server's for whoever runs VMs without it. */
  scratch(name: string): string {
    return path.join(path.dirname(this.#server.ready.dataDirectory), name);
  }

  get ready(): ServerProcess['ready'] {
    return this.#server.ready;
  }

  /** Launches one VM and waits until it has answered. */
  async launch(name = 'counter'): Promise<{ readonly microvm: LaunchedMicrovm; readonly token: string }> {
    const microvm = await this.client.run(this.imageArn(name));
    await this.client.until(microvm.microvmId, 'RUNNING');
    const token = await this.client.token(microvm.microvmId);
    await this.client.get(microvm, token);
    return { microvm, token };
  }

  /** Where the load generators find a VM. */
  async target(microvm: LaunchedMicrovm, token: string): Promise<Target> {
    const { caCertificatePath, endpointPort } = this.#server.ready;
    const host = microvm.endpoint.split(':', 1)[0] ?? '';
    return { host, port: endpointPort, ca: await readFile(caCertificatePath, 'utf8'), token };
  }

  async terminate(microvm: LaunchedMicrovm): Promise<void> {
    await this.client.terminate(microvm.microvmId);
    await this.client.until(microvm.microvmId, 'TERMINATED');
  }
}

/** Duration of `work` in milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}
