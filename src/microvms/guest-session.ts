import { createHash, randomBytes } from 'node:crypto';
import { type GuestAgent, type GuestName, GuestProtocolError } from '../guest/guest-agent.ts';
import { openGuestAgent } from '../guest/session.ts';
import type { Clock } from '../model/clock.ts';
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

/**
 * Makes a restored guest itself: right time, own randomness and, for a new VM, an own name. Its application goes on
 * then.
 */
export async function renewIdentity(
  agent: GuestAgent,
  clock: Pick<Clock, 'now'>,
  microvmId?: string,
): Promise<void> {
  await agent.assumeIdentity({
    wallClockMs: () => clock.now(),
    entropy: randomBytes(64),
    ...(microvmId === undefined ? {} : { name: nameOf(microvmId) }),
  });
}

/** The same for ever, and nothing that could be told from the id, which others may know. */
function nameOf(microvmId: string): GuestName {
  return {
    hostname: microvmId,
    bootId: uuidBytes(`boot ${microvmId}`),
    machineId: uuidBytes(`machine ${microvmId}`),
  };
}

/** A version 4 UUID, as both ids have to be. */
function uuidBytes(of: string): Uint8Array {
  const bytes = createHash('sha256').update(of).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes;
}
