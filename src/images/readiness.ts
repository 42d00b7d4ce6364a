import { ExecError, type GuestAgent } from '../guest/guest-agent.ts';
import { delay } from './build-hooks.ts';
import type { Healthcheck } from './container-config.ts';

/** What an image says about when its application is ready. */
export interface ReadinessRules {
  /** TCP ports of EXPOSE. */
  readonly exposed: readonly number[];
  /** It is to listen nowhere. */
  readonly worker: boolean;
  /** Most that is waited, in milliseconds. */
  readonly limitMs: number;
  readonly healthcheck: Healthcheck | undefined;
}

export type Readiness =
  | { readonly type: 'listening'; readonly ports: readonly number[] }
  | { readonly type: 'healthy' }
  | { readonly type: 'worker' }
  /** With exit code 0. */
  | { readonly type: 'ended' }
  /** Nothing listens, or the HEALTHCHECK still fails, although it should not. */
  | { readonly type: 'silent'; readonly waitedMs: number };

/** Where requests go that name no port (spec section 5.2). */
const defaultPort = 8080;
const pollMs = 250;
/** After this long without the wanted ports, an application that listens elsewhere is taken as it is. */
const otherPortMs = 3_000;
/** Without using its processors for this long, an application that listens nowhere is not about to. */
const quietMs = { exposed: 20_000, none: 2_000, worker: 500 } as const;
/** Share of one processor from which on an application counts as busy. */
const busyShare = 0.2;
/** A look that comes later than this says nothing: the guest may have had no processor. */
const longestLookMs = 1_000;

/**
 * Waits until an application without a ready hook is ready: its HEALTHCHECK succeeds; else it listens on the ports
 * that it exposes, or on port 8080 where it exposes none. Whoever listens nowhere is waited for while it is busy, and a
 * while after, for longer where ports are exposed. (The service's own heuristic is unrecorded, spec section 3.3.)
 */
export async function awaitReady(
  agent: Pick<GuestAgent, 'listeningPorts' | 'stats' | 'exec'>,
  rules: ReadinessRules,
  signal: AbortSignal,
): Promise<Readiness> {
  const { healthcheck } = rules;
  if (healthcheck !== undefined) {
    const check = (): Promise<boolean> => isHealthy(agent, healthcheck);
    return await awaitHealthy(check, healthcheck.intervalMs, rules.limitMs, signal);
  }
  const { exposed, worker } = rules;
  const wanted = exposed.length > 0 ? exposed : [defaultPort];
  const quiet = quietMs[worker ? 'worker' : exposed.length > 0 ? 'exposed' : 'none'];
  const start = performance.now();
  const busyness = new Busyness(start);
  let listeningSince: number | undefined;
  for (;;) {
    const [ports, stats] = await Promise.all([agent.listeningPorts(), agent.stats()]);
    const now = performance.now();
    const waitedMs = now - start;
    if (!worker && wanted.every((port) => ports.includes(port))) return { type: 'listening', ports };
    // Ports that nobody has announced say little while those that were announced are still to come.
    const heard = exposed.length > 0 ? ports.some((port) => exposed.includes(port)) : ports.length > 0;
    // A worker may have ports, for its metrics say, but is not waited for until it has.
    listeningSince = heard && !worker ? (listeningSince ?? now) : undefined;
    if (listeningSince !== undefined && now - listeningSince >= otherPortMs) {
      return { type: 'listening', ports };
    }
    busyness.note(now, stats.cpuSeconds);
    const over = waitedMs >= rules.limitMs;
    if (over || (listeningSince === undefined && busyness.quietForMs(now) >= quiet)) {
      if (worker) return { type: 'worker' };
      return ports.length > 0 ? { type: 'listening', ports } : { type: 'silent', waitedMs };
    }
    await delay(pollMs, signal);
  }
}

async function awaitHealthy(
  check: () => Promise<boolean>,
  intervalMs: number,
  limitMs: number,
  signal: AbortSignal,
): Promise<Readiness> {
  const start = performance.now();
  for (;;) {
    if (await check()) return { type: 'healthy' };
    const waitedMs = performance.now() - start;
    if (waitedMs >= limitMs) return { type: 'silent', waitedMs };
    await delay(Math.min(intervalMs, limitMs - waitedMs), signal);
  }
}

/** Runs the HEALTHCHECK as the application's user. That there is no such program, or no answer, is not healthy either. */
async function isHealthy(agent: Pick<GuestAgent, 'exec'>, check: Healthcheck): Promise<boolean> {
  const session = await agent.exec({ argv: check.argv }).catch(ignoreExecError);
  if (session === undefined) return false;
  session.stdio.on('error', () => undefined).resume();
  session.stdio.end();
  session.stderr.resume();
  const timer = setTimeout(() => session.close(), check.timeoutMs);
  try {
    return (await session.exit).code === 0;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
    session.close();
  }
}

function ignoreExecError(error: unknown): undefined {
  if (!(error instanceof ExecError)) throw error;
}

/** Since when a guest has used next to nothing of its processors. */
class Busyness {
  #quietSince: number;
  #last: { readonly at: number; readonly cpuSeconds: number } | undefined;

  constructor(now: number) {
    this.#quietSince = now;
  }

  /** @param now milliseconds of a steady clock */
  note(now: number, cpuSeconds: number): void {
    const last = this.#last;
    this.#last = { at: now, cpuSeconds };
    if (last === undefined) return;
    const spanMs = now - last.at;
    const busy = (cpuSeconds - last.cpuSeconds) * 1000 >= spanMs * busyShare;
    if (busy || spanMs > longestLookMs) this.#quietSince = now;
  }

  quietForMs(now: number): number {
    return now - this.#quietSince;
  }
}

/** What the owner of an image should be told of how it became ready; undefined where all is as expected. */
export function readinessWarning(readiness: Readiness, rules: ReadinessRules): string | undefined {
  if (readiness.type === 'ended') {
    return rules.worker
      ? undefined
      : 'The application ended with exit code 0, so its microVMs run nothing by themselves: they hold what the image has and stay for commands (dormouse exec VM -- COMMAND). If that is meant, say so with --worker or LABEL dormouse.worker=true; if it is a server, its CMD must not end.';
  }
  if (readiness.type !== 'silent') return undefined;
  const seconds = Math.round(readiness.waitedMs / 1000);
  if (rules.healthcheck !== undefined) {
    return `The HEALTHCHECK did not succeed within ${seconds} s; the snapshot was made all the same. Mend the check, or give it more time with --ready-timeout.`;
  }
  const ports = rules.exposed.length > 0 ? rules.exposed : [defaultPort];
  const where = `port ${ports.join(' or ')}${rules.exposed.length > 0 ? ' (EXPOSE)' : ''}`;
  const advice =
    rules.exposed.length > 0
      ? 'If it needs longer to start, give it a /ready hook or --ready-timeout'
      : 'If it is a server, name its port with EXPOSE';
  return `Nothing listens on ${where} after ${seconds} s: requests to its microVMs will be answered with 502. ${advice}; if it serves no requests, say so with --worker or LABEL dormouse.worker=true.`;
}
