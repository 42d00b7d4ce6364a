import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type LaunchedMicrovm, MicrovmClient } from '../../scripts/support/microvm-client.ts';
import { type ServerOptions, ServerProcess } from '../../scripts/support/server-process.ts';

const counter = fileURLToPath(new URL('../../examples/counter', import.meta.url));
const image = 'counter';
/** Woken by requests, and never asleep by itself. */
const idlePolicy = {
  maxIdleDurationSeconds: 86_400,
  suspendedDurationSeconds: 86_400,
  autoResumeEnabled: true,
};
const retryMs = 50;
const pollMs = 25;

/** A server that is killed and started again, and calls that get through to whichever runs. */
export class Host {
  readonly #options: ServerOptions;
  #server: ServerProcess;
  #client: MicrovmClient;

  private constructor(options: ServerOptions, server: ServerProcess, client: MicrovmClient) {
    this.#options = options;
    this.#server = server;
    this.#client = client;
  }

  static async start(options: ServerOptions): Promise<Host> {
    const server = await ServerProcess.start(options);
    return new Host(options, server, await MicrovmClient.open(server.ready, pollMs));
  }

  get accelerator(): string {
    return this.#server.ready.accelerator;
  }

  async build(): Promise<void> {
    await this.#server.command(['build', counter, '--name', image]);
  }

  /** Kills the server and starts another on what it left. */
  async crash(): Promise<void> {
    await this.#server.kill();
    this.#client.close();
    this.#server = await ServerProcess.start(this.#options);
    this.#client = await MicrovmClient.open(this.#server.ready, pollMs);
  }

  async stop(): Promise<void> {
    this.#client.close();
    await this.#server.stop();
  }

  launch(): Promise<LaunchedMicrovm> {
    return this.insist((client) => client.run(image, idlePolicy));
  }

  async fork(parent: LaunchedMicrovm): Promise<LaunchedMicrovm> {
    const [child] = (await this.#server.command(['fork', parent.microvmId])) as LaunchedMicrovm[];
    if (child === undefined) throw new Error('a fork made nothing');
    return child;
  }

  /** One attempt, by the server of the moment: what becomes of it is not known when it fails. */
  async request(microvm: LaunchedMicrovm): Promise<unknown> {
    const { endpointPort } = this.#server.ready;
    const endpoint = `${microvm.endpoint.split(':')[0]}:${endpointPort}`;
    const token = await this.#client.token(microvm.microvmId);
    return await this.#client.getJson({ ...microvm, endpoint }, token);
  }

  /** Repeats a call until a server answers it. */
  async insist<Result>(call: (client: MicrovmClient) => Promise<Result>): Promise<Result> {
    for (;;) {
      const client = this.#client;
      try {
        return await call(client);
      } catch (error) {
        // The server was killed meanwhile; any other refusal is one.
        if (client === this.#client && !isConnectionLoss(error)) throw error;
        await delay(retryMs);
      }
    }
  }

  /** Waits for one of the states; resolves with it. */
  async reaches(microvmId: string, ...wanted: readonly string[]): Promise<string> {
    for (;;) {
      const state = (await this.insist((client) => client.state(microvmId))) ?? '';
      if (wanted.includes(state)) return state;
      await delay(pollMs);
    }
  }

  directoryOf(microvmId: string): string {
    return path.join(this.#options.dataDirectory, 'microvms', microvmId);
  }
}

function isConnectionLoss(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error ? String(error.code) : '';
  return /^(ECONN|EPIPE|UND_ERR|EADDR)/.test(code) || /socket hang up|disconnected/.test(error.message);
}
