import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import type { LookupFunction } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import {
  CreateMicrovmAuthTokenCommand,
  GetMicrovmCommand,
  type GetMicrovmCommandOutput,
  type IdlePolicy,
  LambdaMicrovmsClient,
  ListMicrovmsCommand,
  type MicrovmState,
  ResumeMicrovmCommand,
  RunMicrovmCommand,
  SuspendMicrovmCommand,
  TerminateMicrovmCommand,
} from '@aws-sdk/client-lambda-microvms';
import { WebSocket } from 'ws';
import type { Ready } from './server-process.ts';

/** Endpoints are below `localhost`, which not every resolver knows. */
const toThisMachine: LookupFunction = (_hostname, options, callback) => {
  if (options.all) callback(null, [{ address: '127.0.0.1', family: 4 }]);
  else callback(null, '127.0.0.1', 4);
};

export interface LaunchedMicrovm {
  readonly microvmId: string;
  readonly endpoint: string;
}

/** The control plane through the official client, and the endpoints through plain HTTPS. */
export class MicrovmClient {
  readonly #sdk: LambdaMicrovmsClient;
  readonly #ca: string;
  readonly #pollMs: number;
  readonly #agent: Agent;

  private constructor(sdk: LambdaMicrovmsClient, ca: string, pollMs: number) {
    this.#sdk = sdk;
    this.#ca = ca;
    this.#pollMs = pollMs;
    this.#agent = new Agent({ ca, lookup: toThisMachine, keepAlive: true });
  }

  /** @param pollMs interval in milliseconds at which states are asked for; the resolution of what is measured */
  static async open(ready: Ready, pollMs = 20): Promise<MicrovmClient> {
    const { region, accessKeyId, secretAccessKey } = ready;
    const sdk = new LambdaMicrovmsClient({
      endpoint: ready.apiEndpoint,
      region,
      credentials: { accessKeyId, secretAccessKey },
    });
    return new MicrovmClient(sdk, await readFile(ready.caCertificatePath, 'utf8'), pollMs);
  }

  async run(imageIdentifier: string, idlePolicy?: IdlePolicy): Promise<LaunchedMicrovm> {
    const launched = await this.#sdk.send(new RunMicrovmCommand({ imageIdentifier, idlePolicy }));
    return { microvmId: launched.microvmId ?? '', endpoint: launched.endpoint ?? '' };
  }

  async suspend(microvmIdentifier: string): Promise<void> {
    await this.#sdk.send(new SuspendMicrovmCommand({ microvmIdentifier }));
  }

  async resume(microvmIdentifier: string): Promise<void> {
    await this.#sdk.send(new ResumeMicrovmCommand({ microvmIdentifier }));
  }

  async terminate(microvmIdentifier: string): Promise<void> {
    await this.#sdk.send(new TerminateMicrovmCommand({ microvmIdentifier }));
  }

  async state(microvmIdentifier: string): Promise<MicrovmState | undefined> {
    return (await this.describe(microvmIdentifier)).state;
  }

  async describe(microvmIdentifier: string): Promise<GetMicrovmCommandOutput> {
    return await this.#sdk.send(new GetMicrovmCommand({ microvmIdentifier }));
  }

  /** Ids of all there are, those that have ended included as long as they are remembered. */
  async list(): Promise<readonly string[]> {
    const ids: string[] = [];
    let nextToken: string | undefined;
    do {
      const page = await this.#sdk.send(new ListMicrovmsCommand({ nextToken }));
      ids.push(...(page.items ?? []).map(({ microvmId }) => microvmId ?? ''));
      nextToken = page.nextToken;
    } while (nextToken !== undefined);
    return ids;
  }

  /** @throws when the VM terminates while another state is waited for, or `signal` aborts */
  async until(microvmIdentifier: string, wanted: MicrovmState, signal?: AbortSignal): Promise<void> {
    for (;;) {
      const { state, stateReason } = await this.describe(microvmIdentifier);
      if (state === wanted) return;
      if (state === 'TERMINATED') throw new Error(`${microvmIdentifier} has terminated: ${stateReason}`);
      await delay(this.#pollMs, undefined, signal === undefined ? {} : { signal });
    }
  }

  async token(microvmIdentifier: string): Promise<string> {
    const { authToken } = await this.#sdk.send(
      new CreateMicrovmAuthTokenCommand({
        microvmIdentifier,
        expirationInMinutes: 30,
        allowedPorts: [{ port: 8080 }],
      }),
    );
    return authToken?.['X-aws-proxy-auth'] ?? '';
  }

  /** What the application answers a GET with, when that is JSON. */
  async getJson(microvm: LaunchedMicrovm, token: string, path = '/', signal?: AbortSignal): Promise<unknown> {
    return JSON.parse(await this.get(microvm, token, path, signal));
  }

  /** Body of the application's answer to a GET. */
  async get(microvm: LaunchedMicrovm, token: string, path = '/', signal?: AbortSignal): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const outgoing = request(`https://${microvm.endpoint}${path}`, {
      agent: this.#agent,
      headers: { 'x-aws-proxy-auth': token },
      ...(signal === undefined ? {} : { signal }),
    });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      if (response.statusCode === 200) {
        text(response).then(resolve, reject);
        return;
      }
      response.resume();
      const code = response.headers['x-aws-proxy-error'];
      reject(new Error(`${path} was answered ${response.statusCode} (${code ?? 'by the application'})`));
    });
    outgoing.end();
    return await promise;
  }

  /** Sends one message over a WebSocket and resolves with what comes back. */
  async echo(microvm: LaunchedMicrovm, token: string, message: string): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const socket = new WebSocket(`wss://${microvm.endpoint}/ws`, {
      ca: this.#ca,
      lookup: toThisMachine,
      headers: { 'x-aws-proxy-auth': token },
    });
    socket.on('error', reject);
    socket.on('open', () => socket.send(message));
    socket.on('message', (data: Buffer) => resolve(data.toString()));
    try {
      return await promise;
    } finally {
      socket.close();
    }
  }

  close(): void {
    this.#agent.destroy();
    this.#sdk.destroy();
  }
}
