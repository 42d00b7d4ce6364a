import { randomUUID } from 'node:crypto';
import type { Microvm } from '../model/microvm.ts';

/** What is chosen for a VM before it is. */
export type MicrovmSettings = Omit<
  Microvm,
  'microvmId' | 'endpointId' | 'state' | 'stateReason' | 'startedAt' | 'suspendedAt' | 'terminatedAt'
>;

/** A new VM in PENDING with an identity of its own. @param now milliseconds since the epoch */
export function newMicrovm(settings: MicrovmSettings, now: number): Microvm {
  return {
    ...settings,
    microvmId: `microvm-${randomUUID()}`,
    endpointId: randomUUID(),
    state: 'PENDING',
    stateReason: null,
    startedAt: now,
    suspendedAt: null,
    terminatedAt: null,
  };
}
