import { terminationReasons } from '../model/microvm.ts';
import { SnapshotIncompatibleError } from '../vmm/vmm.ts';
import { HookFailedError } from './lifecycle-hooks.ts';

/** What a failure says to the owner of a microVM, where it says something. */
export function failureReason(error: unknown): string | undefined {
  if (error instanceof HookFailedError) return error.message;
  return error instanceof SnapshotIncompatibleError ? terminationReasons.outdated(error.message) : undefined;
}
