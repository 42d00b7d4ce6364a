import { SnapshotCorruptError } from '../vmm.ts';

/** Handler of a rejection: what is damaged counts as `instead`, every other error goes on. */
export function whenCorrupt<T>(instead: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof SnapshotCorruptError) return instead;
    throw error;
  };
}
