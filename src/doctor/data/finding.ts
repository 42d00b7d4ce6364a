/** What can be wrong with what a server keeps, in the order in which it is told and mended. */
export const findingKinds = [
  'database',
  'process',
  'control-group',
  'vmm-files',
  'unmarked-version',
  'healed-version',
  'damaged-version',
  'outdated-version',
  'damaged-microvm',
  'damaged-checkpoint',
  'missing-object',
  'version-files',
  'microvm-files',
  'build-files',
  'object-files',
] as const;
export type FindingKind = (typeof findingKinds)[number];

/** Kinds whose repair gives up what somebody made; each is repaired only where a person says so for the kind. */
export const dataKinds = [
  'damaged-version',
  'damaged-microvm',
  'damaged-checkpoint',
  'missing-object',
] as const;
export type DataKind = (typeof dataKinds)[number];

/** One thing that is not as it should be. */
export interface Finding {
  readonly kind: FindingKind;
  /** An id, an image and its version, or a path. */
  readonly subject: string;
  readonly detail: string;
  /** What else a person can do; absent where there is nothing to do but the repair. */
  readonly remedy?: string;
  readonly repair?: Repair;
}

export interface Repair {
  /** What it does, as an order: `remove the directory`. */
  readonly does: string;
  /** Durable when it resolves. */
  run(): Promise<void>;
}

export function isDataKind(kind: FindingKind): kind is DataKind {
  return dataKinds.some((data) => data === kind);
}
