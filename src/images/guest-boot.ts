import { mkdir, rm } from 'node:fs/promises';
import { type GuestAgent, GuestVersionError } from '../guest/guest-agent.ts';
import { openGuestAgent } from '../guest/session.ts';
import type { BootRequest, Vmm, VmmInstance } from '../vmm/vmm.ts';
import { BootProgress } from './boot-progress.ts';
import { platformError } from './build-failure.ts';

export interface GuestMachine {
  readonly instance: VmmInstance;
  readonly agent: GuestAgent;
}

/** Under emulation a kernel hangs now and then before it runs anything; a fresh start cures it. */
const bootAttempts = 2;
/** What is written to a guest that does not listen yet may be lost, hence short tries; a busy guest answers late. */
const shortestHelloMs = 3_000;
const longestHelloMs = 15_000;
const helloShare = 0.25;
const pauseMs = 100;

/**
 * Boots a VM and opens a session with its agent, starting over once if it gets nowhere.
 * @throws {BuildFailure} INTERNAL_PLATFORM_ERROR
 */
export async function bootGuest(vmm: Vmm, request: BootRequest, signal: AbortSignal): Promise<GuestMachine> {
  let lastError: unknown;
  for (let attempt = 0; attempt < bootAttempts; attempt += 1) {
    signal.throwIfAborted();
    await rm(request.directory, { recursive: true, force: true });
    await mkdir(request.directory, { recursive: true, mode: 0o700 });
    const instance = await vmm.boot(request);
    try {
      return { instance, agent: await greet(instance, signal) };
    } catch (error) {
      await instance.kill();
      signal.throwIfAborted();
      lastError = error;
      if (error instanceof GuestVersionError) break;
    }
  }
  throw platformError(lastError);
}

/**
 * Opens a session with the agent of a guest that has just been started, trying again for as long as the guest gets
 * somewhere (see {@link BootProgress}): how long that takes is the host's load to say.
 */
export async function greet(
  instance: Pick<VmmInstance, 'connectAgent' | 'usage' | 'exited'>,
  signal: AbortSignal,
): Promise<GuestAgent> {
  const start = performance.now();
  const progress = new BootProgress(start);
  let ended: string | undefined;
  void instance.exited.then(({ reason }) => {
    ended = reason;
  });
  for (;;) {
    signal.throwIfAborted();
    if (ended !== undefined) throw new Error(`the VMM ended: ${ended}`);
    const waitedMs = performance.now() - start;
    const helloTimeoutMs = Math.min(Math.max(shortestHelloMs, waitedMs * helloShare), longestHelloMs);
    try {
      return await hello(instance, helloTimeoutMs);
    } catch (error) {
      if (error instanceof GuestVersionError) throw error;
      const cpuSeconds = await instance.usage().then(
        (usage) => usage.cpuSeconds,
        () => undefined,
      );
      const stuck = progress.note(performance.now(), cpuSeconds);
      if (stuck !== undefined) throw new Error(`${stuck}: ${reasonOf(error)}`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

async function hello(
  instance: Pick<VmmInstance, 'connectAgent'>,
  helloTimeoutMs: number,
): Promise<GuestAgent> {
  const transport = await instance.connectAgent();
  try {
    return await openGuestAgent(transport, { helloTimeoutMs });
  } catch (error) {
    transport.destroy();
    throw error;
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
