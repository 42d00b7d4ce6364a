/** Limits are data: one table per profile (spec sections 1.2, 3.6 and 11). */

export type Profile = 'relaxed' | 'aws';

export interface Limits {
  /** Accepted values of `minimumMemoryInMiB`; undefined accepts any within the bounds. */
  readonly memorySizesMib: readonly number[] | undefined;
  readonly minimumMemoryMib: number;
  readonly maximumMemoryMib: number;
  readonly defaultMemoryMib: number;
  readonly minimumIdleSeconds: number;
  readonly maximumIdleSeconds: number;
  readonly maximumLifetimeSeconds: number;
  readonly defaultLifetimeSeconds: number;
  readonly maximumTokenMinutes: number;
  readonly runHookPayloadLength: number;
  readonly images: number;
  readonly versionsPerImage: number;
  readonly concurrentBuilds: number;
  /** Baseline memory of RUNNING and SUSPENDED microVMs together. */
  readonly accountMemoryMib: number;
  readonly environmentVariables: number;
  /** Customer connectors; the service's number is unrecorded. */
  readonly networkConnectors: number;
  /** Unpacked size of an artifact and number of its files. */
  readonly artifactBytes: number;
  readonly artifactEntries: number;
}

const year = 365 * 24 * 3600;

export const limits: Readonly<Record<Profile, Limits>> = {
  relaxed: {
    memorySizesMib: undefined,
    minimumMemoryMib: 128,
    maximumMemoryMib: 65_536,
    defaultMemoryMib: 256,
    minimumIdleSeconds: 1,
    maximumIdleSeconds: year,
    maximumLifetimeSeconds: 10 * year,
    defaultLifetimeSeconds: 28_800,
    maximumTokenMinutes: 60,
    runHookPayloadLength: 4096,
    images: 100_000,
    versionsPerImage: 10_000,
    concurrentBuilds: 2,
    accountMemoryMib: 64 * 1024 * 1024,
    environmentVariables: 50,
    networkConnectors: 1000,
    artifactBytes: 4 * 1024 ** 3,
    artifactEntries: 200_000,
  },
  aws: {
    memorySizesMib: [512, 1024, 2048, 4096, 8192],
    minimumMemoryMib: 512,
    maximumMemoryMib: 8192,
    defaultMemoryMib: 2048,
    minimumIdleSeconds: 60,
    maximumIdleSeconds: 28_800,
    maximumLifetimeSeconds: 28_800,
    defaultLifetimeSeconds: 28_800,
    maximumTokenMinutes: 60,
    runHookPayloadLength: 4096,
    images: 100,
    versionsPerImage: 50,
    concurrentBuilds: 5,
    accountMemoryMib: 400 * 1024,
    environmentVariables: 50,
    networkConnectors: 1000,
    artifactBytes: 2 * 1024 ** 3,
    artifactEntries: 100_000,
  },
};

/** Virtual CPUs of a size: one per 2 GB, at least one (spec section 3.6). */
export function vcpusFor(memoryMib: number): number {
  return Math.max(1, Math.floor(memoryMib / 2048));
}

/** Size of the root disk of a memory size, in MiB (spec section 3.6). Sparse: only what is written takes space. */
export function diskMibFor(memoryMib: number): number {
  if (memoryMib >= 8192) return 32 * 1024;
  return memoryMib >= 4096 ? 16 * 1024 : 8 * 1024;
}
