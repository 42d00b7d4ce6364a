import { mkdir, rm } from 'node:fs/promises';
import type { GuestAgent } from '../guest/guest-agent.ts';
import { openGuestAgent } from '../guest/session.ts';
import type { BootRequest, Vmm, VmmInstance } from '../vmm/vmm.ts';
import { platformError } from './build-failure.ts';

export interface GuestMachine {
  readonly instance: VmmInstance;
  readonly agent: GuestAgent;
}

/** How long a kernel may take until its agent speaks; an emulated machine needs some 15 s of it. */
const bootTimeoutMs = 75_000;
/** Under emulation a kernel hangs now and then before it runs anything; a fresh start cures it. */
const bootAttempts = 2;
const helloTimeoutMs = 3_000;

/**
 * Boots a VM and opens a session with its agent, starting over once if nothing is heard of it in time.
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
      return { instance, agent: await greet(instance, bootTimeoutMs, signal) };
    } catch (error) {
      await instance.kill();
      signal.throwIfAborted();
      lastError = error;
    }
  }
  throw platformError(lastError);
}

/**
 * Opens a session, trying again until the guest answers. What is written to a guest that does not listen yet
 * may be lost, hence the short tries.
 */
export async function greet(
  instance: VmmInstance,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<GuestAgent> {
  const deadline = performance.now() + timeoutMs;
  let ended: string | undefined;
  void instance.exited.then(({ reason }) => {
    ended = reason;
  });
  for (;;) {
    signal.throwIfAborted();
    if (ended !== undefined) throw new Error(`the VMM ended: ${ended}`);
    try {
      const transport = await instance.connectAgent();
      try {
        return await openGuestAgent(transport, { helloTimeoutMs });
      } catch (error) {
        transport.destroy();
        throw error;
      }
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
