import { mkdir, mkdtemp } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { removeEverything } from '../../scripts/support/leftovers.ts';
import { type LaunchedMicrovm, MicrovmClient } from '../../scripts/support/microvm-client.ts';
import { ServerProcess } from '../../scripts/support/server-process.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const pollMs = 10;

/** What the host knows of a microVM (`dormouse inspect`). */
export interface HostFigures {
  readonly vmmPid: number | null;
  readonly residentBytes: number | null;
  readonly proportionalBytes: number | null;
  readonly diskBytes: number;
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
  static async with(work: (laboratory: Laboratory) => Promise<void>): Promise<void> {
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
        { dataDirectory: path.join(scratch, 'data') },
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
  async build(name = 'counter', onLine?: (line: string) => void): Promise<void> {
    const context = path.join(root, 'examples', 'counter');
    await this.#server.command(
      ['build', context, '--name', name, '--memory', '256'],
      onLine === undefined ? {} : { onLine },
    );
  }

  async inspect(microvm: LaunchedMicrovm): Promise<HostFigures> {
    return (await this.#server.command(['inspect', microvm.microvmId])) as HostFigures;
  }

  /** Launches one VM and waits until it has answered. */
  async launch(): Promise<{ readonly microvm: LaunchedMicrovm; readonly token: string }> {
    const microvm = await this.client.run(this.imageArn('counter'));
    await this.client.until(microvm.microvmId, 'RUNNING');
    const token = await this.client.token(microvm.microvmId);
    await this.client.get(microvm, token);
    return { microvm, token };
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
