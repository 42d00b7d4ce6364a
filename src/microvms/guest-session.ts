import { randomBytes } from 'node:crypto';
import { type GuestAgent, GuestProtocolError } from '../guest/guest-agent.ts';
import { openGuestAgent } from '../guest/session.ts';
import type { VmmInstance } from '../vmm/vmm.ts';

/** A guest that runs answers at once; one that missed the hang-up of an earlier session needs a second call. */
const helloTimeoutMs = 3_000;
/** All attempts together; generous because a host may be busy restoring many VMs. */
const sessionTimeoutMs = 30_000;

/**
 * Opens a session with the agent of a running VM.
 * @throws {GuestProtocolError} the guest did not answer in time, or its VMM is gone
 */
export async function openSession(instance: VmmInstance, signal?: AbortSignal): Promise<GuestAgent> {
  const deadline = performance.now() + sessionTimeoutMs;
  for (;;) {
    signal?.throwIfAborted();
    const transport = await instance.connectAgent();
    try {
      return await openGuestAgent(transport, { helloTimeoutMs });
    } catch (error) {
      transport.destroy();
      if (!(error instanceof GuestProtocolError) || performance.now() > deadline) throw error;
    }
  }
}

/** Makes a restored guest itself: right time, own randomness and, for a new VM, an own name. */
export async function renewIdentity(agent: GuestAgent, hostname?: string): Promise<void> {
  await agent.assumeIdentity({
    wallClockMs: Date.now,
    entropy: randomBytes(64),
    ...(hostname === undefined ? {} : { hostname }),
  });
}
