import { randomUUID } from 'node:crypto';
import type { Microvm } from '../model/microvm.ts';

/** What is chosen for a VM before it is. */
export type MicrovmSettings = Omit<
  Microvm,
  'microvmId' | 'endpointId' | 'state' | 'stateReason' | 'startedAt' | 'suspendedAt' | 'terminatedAt'
>;

export function newMicrovmId(): string {
  return `microvm-${randomUUID()}`;
}

/** A new VM in PENDING with an identity of its own. @param now milliseconds since the epoch */
export function newMicrovm(settings: MicrovmSettings, now: number, microvmId = newMicrovmId()): Microvm {
  return {
    ...settings,
    microvmId,
    endpointId: randomUUID(),
    state: 'PENDING',
    stateReason: null,
    startedAt: now,
    suspendedAt: null,
    terminatedAt: null,
  };
}
