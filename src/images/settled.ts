import type { GuestAgent } from '../guest/guest-agent.ts';
import { delay } from './build-hooks.ts';

/** Where requests go that name no port (spec section 5.2). */
const defaultPort = 8080;
const pollMs = 250;
/** After this long without the default port, an application that listens elsewhere is taken as it is. */
const otherPortMs = 3_000;

/**
 * Waits until an application without a ready hook can be taken for started: it listens on port 8080; or it has
 * listened on some other TCP port for three seconds; or it has run for `settleMs` and listens nowhere, as a
 * worker does. (The service's own heuristic is unrecorded, spec section 3.3.)
 */
export async function awaitSettled(
  agent: Pick<GuestAgent, 'listeningPorts'>,
  settleMs: number,
  signal: AbortSignal,
): Promise<void> {
  const start = performance.now();
  let listeningSince: number | undefined;
  while (performance.now() - start < settleMs) {
    const ports = await agent.listeningPorts();
    if (ports.includes(defaultPort)) return;
    if (ports.length === 0) listeningSince = undefined;
    else listeningSince ??= performance.now();
    if (listeningSince !== undefined && performance.now() - listeningSince >= otherPortMs) return;
    await delay(pollMs, signal);
  }
}
