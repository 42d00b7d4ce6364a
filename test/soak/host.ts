import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { callExtension } from '../../scripts/support/extension.ts';
import { type LaunchedMicrovm, MicrovmClient } from '../../scripts/support/microvm-client.ts';
import { type ServerOptions, ServerProcess } from '../../scripts/support/server-process.ts';
import type { Tally } from './tally.ts';

const counter = fileURLToPath(new URL('../../examples/counter', import.meta.url));
export const image = 'counter';
/** Woken by requests, and never asleep by itself. */
export const idlePolicy = {
  maxIdleDurationSeconds: 86_400,
  suspendedDurationSeconds: 86_400,
  autoResumeEnabled: true,
};
const retryMs = 50;
/** A server that has been killed is back sooner, however busy the machine is. */
const longestAbsenceMs = 120_000;
/** Each look costs as much as several milliseconds of a guest. */
const pollMs = 100;

type DropFirst<Values extends unknown[]> = Values extends [unknown, ...infer Rest] ? Rest : never;

/** A server that is killed and started again, each time otherwise set up, and calls that get through to whichever runs. */
export class Host {
  readonly #options: ServerOptions;
  readonly #phases: readonly (readonly string[])[];
  readonly #tally: Tally;
  #started = 1;
  #server: ServerProcess;
  #client: MicrovmClient;

  private constructor(
    options: ServerOptions,
    phases: readonly (readonly string[])[],
    tally: Tally,
    server: ServerProcess,
    client: MicrovmClient,
  ) {
    this.#options = options;
    this.#phases = phases;
    this.#tally = tally;
    this.#server = server;
    this.#client = client;
  }

  /** @param phases flags of the first server, of the next, and so on in turns */
  static async start(
    options: ServerOptions,
    phases: readonly (readonly string[])[],
    tally: Tally,
  ): Promise<Host> {
    const server = await ServerProcess.start({ ...options, flags: phases[0] ?? [] });
    return new Host(options, phases, tally, server, await MicrovmClient.open(server.ready, pollMs));
  }

  get accelerator(): string {
    return this.#server.ready.accelerator;
  }

  async build(): Promise<void> {
    await this.#server.command(['build', counter, '--name', image]);
  }

  /** Kills the server and starts another on what it left. */
  async crash(): Promise<void> {
    await this.#countWakes();
    await this.#server.kill();
    await this.succeed();
    this.#tally.serversKilled += 1;
  }

  /** Starts another server on what one left that ends by itself. */
  async succeed(): Promise<void> {
    await this.#server.ended();
    this.#client.close();
    const flags = this.#phases[this.#started % this.#phases.length] ?? [];
    this.#server = await ServerProcess.start({ ...this.#options, flags });
    this.#client = await MicrovmClient.open(this.#server.ready, pollMs);
    this.#started += 1;
  }

  async stop(): Promise<void> {
    await this.#countWakes();
    this.#client.close();
    await this.#server.stop();
  }

  launch(): Promise<LaunchedMicrovm> {
    return this.insist((client) => client.run(image, idlePolicy));
  }

  async fork({ microvmId }: LaunchedMicrovm): Promise<LaunchedMicrovm> {
    const forked = await this.extension('POST', `microvms/${microvmId}/fork`, { count: 1 });
    const [child] = (forked as { readonly items: readonly LaunchedMicrovm[] }).items;
    if (child === undefined) throw new Error('a fork made nothing');
    return child;
  }

  /** One call of Dormouse's own API, by the server of the moment. */
  async extension(...call: DropFirst<Parameters<typeof callExtension>>): Promise<unknown> {
    return await callExtension(this.#server.ready, ...call);
  }

  /** One attempt, by the server of the moment. */
  attempt<Result>(call: (client: MicrovmClient) => Promise<Result>): Promise<Result> {
    return call(this.#client);
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
    const deadline = performance.now() + longestAbsenceMs;
    for (;;) {
      const client = this.#client;
      try {
        return await call(client);
      } catch (error) {
        // The server was killed meanwhile; any other refusal is one.
        if (client === this.#client && !isConnectionLoss(error)) throw error;
        if (performance.now() > deadline) throw error;
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

  /** Takes over what the server that is about to end has counted. */
  async #countWakes(): Promise<void> {
    const text = await (await fetch(new URL('/metrics', this.#server.ready.apiEndpoint))).text();
    const count = (name: string): number =>
      Number(new RegExp(`^dormouse_${name}_total (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
    this.#tally.wakesFromCache += count('wake_cache_hits');
    this.#tally.wakesFromDisk += count('wake_cache_misses');
    this.#tally.launchesFromPool += count('warm_pool_hits');
  }
}

function isConnectionLoss(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error ? String(error.code) : '';
  return /^(ECONN|EPIPE|UND_ERR|EADDR)/.test(code) || /socket hang up|disconnected/.test(error.message);
}
