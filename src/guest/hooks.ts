import { Agent, request } from 'node:http';
import type { Duplex } from 'node:stream';
import { type GuestAgent, GuestConnectError } from './guest-agent.ts';
import { hangUp } from './hang-up.ts';

const hookRoot = '/aws/lambda-microvms/runtime/v1/';
/** A hook's answer is its status; a body beyond this is not read. */
const longestAnswer = 64 * 1024;

export type HookPath = 'ready' | 'validate' | 'run' | 'resume' | 'suspend' | 'terminate';

export interface HookCall {
  readonly hook: HookPath;
  readonly port: number;
  readonly timeoutMs: number;
  /** JSON text; the body is empty when absent (spec sections 3.3 and 4.2). */
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export type HookOutcome =
  | { readonly type: 'answered'; readonly status: number }
  | { readonly type: 'refused' }
  | { readonly type: 'timed-out' };

/**
 * POSTs one lifecycle hook to the application, on a connection of its own: a kept-alive one may be closed by
 * the application's idle timer at the very moment it wakes. Resolves with what came of it.
 * @throws the session with the guest broke, or `signal` aborted
 */
export async function callHook(guest: Pick<GuestAgent, 'connect'>, call: HookCall): Promise<HookOutcome> {
  const timeout = AbortSignal.timeout(call.timeoutMs);
  const signal = call.signal === undefined ? timeout : AbortSignal.any([timeout, call.signal]);
  let connection: Duplex | undefined;
  try {
    connection = await guest.connect(call.port, signal);
    const status = await post(connection, call, signal);
    hangUp(connection);
    return { type: 'answered', status };
  } catch (error) {
    connection?.destroy();
    if (timeout.aborted && call.signal?.aborted !== true) return { type: 'timed-out' };
    call.signal?.throwIfAborted();
    if (error instanceof GuestConnectError || isConnectionLoss(error)) return { type: 'refused' };
    throw error;
  }
}

/** Success is 200 and nothing else. */
export function succeeded(outcome: HookOutcome): boolean {
  return outcome.type === 'answered' && outcome.status === 200;
}

async function post(connection: Duplex, call: HookCall, signal: AbortSignal): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const outgoing = request({
    agent: new SingleUse(connection),
    method: 'POST',
    path: hookRoot + call.hook,
    signal,
    headers: {
      host: `localhost:${call.port}`,
      connection: 'close',
      'content-length': Buffer.byteLength(call.body ?? ''),
      ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...call.headers,
    },
  });
  outgoing.on('error', reject);
  outgoing.on('response', (response) => {
    // Read to its end: an application cut off between its header and its body would see its connection reset.
    const done = (): void => resolve(response.statusCode ?? 0);
    let received = 0;
    response.on('data', (chunk: Buffer) => {
      received += chunk.length;
      if (received > longestAnswer) response.destroy();
    });
    response.on('error', done);
    response.on('close', done);
  });
  outgoing.end(call.body);
  return await promise;
}

/** Hands one ready-made stream to one request. */
class SingleUse extends Agent {
  readonly #connection: Duplex;

  constructor(connection: Duplex) {
    super({ keepAlive: false, maxSockets: 1 });
    this.#connection = connection;
  }

  override createConnection(): Duplex {
    return this.#connection;
  }
}

const lossCodes: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ECONNREFUSED', 'ECONNABORTED']);

/** The application closed or garbled the connection, as opposed to the guest session being gone. */
function isConnectionLoss(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return lossCodes.has(code) || code.startsWith('HPE_');
}
