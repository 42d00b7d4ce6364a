import { randomUUID } from 'node:crypto';
import type { GuestAgent } from '../guest/guest-agent.ts';
import { callHook, type HookOutcome } from '../guest/hooks.ts';
import { applicationExited, BuildFailure } from './build-failure.ts';

export interface BuildHook {
  readonly hook: 'ready' | 'validate';
  readonly port: number;
  readonly timeoutSeconds: number;
}

/** The service's own interval is unrecorded; about a second was observed (spec section 3.3). */
const retryMs = 1_000;
const refusedRetryMs = 200;

/**
 * Calls a build hook until it answers anything but 503, or its time is up (spec section 3.3).
 * @throws {BuildFailure} with the recorded texts of spec section 3.4
 */
export async function awaitBuildHook(
  agent: Pick<GuestAgent, 'connect'>,
  hook: BuildHook,
  signal: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + hook.timeoutSeconds * 1000;
  for (;;) {
    const left = Math.ceil(deadline - performance.now());
    if (left <= 0) throw timedOut(hook);
    // As the service names itself and each call of a build hook, and of no other (spec section 3.3).
    const headers = { 'user-agent': 'dormouse', 'x-amzn-requestid': randomUUID() };
    const call = { hook: hook.hook, port: hook.port, timeoutMs: left, headers, signal };
    const outcome = await callHook(agent, call);
    if (outcome.type === 'timed-out') throw timedOut(hook);
    if (outcome.type === 'answered' && outcome.status !== 503) {
      if (outcome.status === 200) return;
      throw refusedBy(hook, outcome);
    }
    const pause = outcome.type === 'refused' ? refusedRetryMs : retryMs;
    await delay(Math.min(pause, Math.max(0, deadline - performance.now())), signal);
  }
}

/** Rejects when the application ends; resolves never. */
export async function failOnExit(agent: Pick<GuestAgent, 'appExit'>): Promise<never> {
  const { code } = await agent.appExit();
  throw applicationExited(code);
}

/** `PT5M`, `PT1M30S`, `PT1H`: the ISO 8601 form the service prints. */
export function isoDuration(seconds: number): string {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = seconds % 60;
  const text = `${hours > 0 ? `${hours}H` : ''}${minutes > 0 ? `${minutes}M` : ''}${rest > 0 ? `${rest}S` : ''}`;
  return `PT${text === '' ? '0S' : text}`;
}

function timedOut(hook: BuildHook): BuildFailure {
  return new BuildFailure(
    'HOOK_FAILED',
    `${title(hook)} hook invocation timed out after ${isoDuration(hook.timeoutSeconds)}`,
  );
}

function refusedBy(hook: BuildHook, outcome: Extract<HookOutcome, { type: 'answered' }>): BuildFailure {
  const kind =
    outcome.status >= 500
      ? 'a server error (HTTP 5xx)'
      : outcome.status >= 400
        ? 'a client error (HTTP 4xx)'
        : `an unexpected (HTTP ${outcome.status})`;
  return new BuildFailure(
    'HOOK_FAILED',
    `${title(hook)} hook check failed: the application returned ${kind} response`,
  );
}

function title(hook: BuildHook): string {
  return hook.hook === 'ready' ? 'Ready' : 'Validate';
}

export async function delay(milliseconds: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const stop = (): void => reject(signal.reason);
  const timer = setTimeout(resolve, milliseconds);
  signal.addEventListener('abort', stop, { once: true });
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}
