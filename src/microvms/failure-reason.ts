import { insufficientCapacity, internalFailure, microvmCannotWake, type ServiceError } from '../errors.ts';
import { terminationReasons } from '../model/microvm.ts';
import { DifferenceCorruptError, SnapshotCorruptError, SnapshotIncompatibleError } from '../vmm/vmm.ts';
import { HookFailedError } from './lifecycle-hooks.ts';
import { MicrovmUnreachableError } from './microvm-service.ts';

/** What a failed launch says to the owner of a microVM, where it says something. */
export function failureReason(error: unknown): string | undefined {
  if (error instanceof HookFailedError) return error.message;
  if (error instanceof SnapshotCorruptError) return terminationReasons.damaged;
  return error instanceof SnapshotIncompatibleError ? terminationReasons.outdated(error.message) : undefined;
}

/** What a failed wake says to who wanted it, while the microVM sleeps on. */
export function wakeFailure(error: unknown): MicrovmUnreachableError {
  if (error instanceof DifferenceCorruptError) {
    return new MicrovmUnreachableError('SNAPSHOT_DAMAGED', 'what it stored when it fell asleep is damaged');
  }
  if (error instanceof SnapshotCorruptError) {
    return new MicrovmUnreachableError('SNAPSHOT_DAMAGED', 'the snapshot of its image version is damaged');
  }
  if (error instanceof SnapshotIncompatibleError) {
    return new MicrovmUnreachableError('SNAPSHOT_OUTDATED', error.message);
  }
  return new MicrovmUnreachableError('MICROVM_CONNECT_FAILED', 'the microVM could not be resumed');
}

/** What a wake that failed says to a caller of the API. */
export function resumeRefused(microvmId: string, error: MicrovmUnreachableError): ServiceError {
  switch (error.code) {
    case 'INSUFFICIENT_CAPACITY':
      return insufficientCapacity(error.message);
    case 'SNAPSHOT_DAMAGED':
    case 'SNAPSHOT_OUTDATED':
      return microvmCannotWake(microvmId, error.message);
    default:
      return internalFailure(error);
  }
}
