import type { Logging } from './microvm.ts';

/** Image, version and build as the control plane knows them (spec sections 2 and 3). Times in epoch milliseconds. */

export type ImageState =
  | 'CREATING'
  | 'CREATED'
  | 'CREATE_FAILED'
  | 'UPDATING'
  | 'UPDATED'
  | 'UPDATE_FAILED'
  | 'DELETING'
  | 'DELETE_FAILED'
  | 'DELETED';

/** States in which something is being done to an image. */
export const busyStates: readonly ImageState[] = ['CREATING', 'UPDATING', 'DELETING'];

export type ImageVersionState =
  | 'PENDING'
  | 'IN_PROGRESS'
  | 'SUCCESSFUL'
  | 'FAILED'
  | 'DELETING'
  | 'DELETED'
  | 'DELETE_FAILED';

/**
 * What keeps the snapshot of a version from being launched from. Extension: one that is damaged is FAILED, while its
 * status still says whether it is to be launched from; one that needs another machine, VMM or agent stays SUCCESSFUL.
 */
export type VersionCondition = 'DAMAGED' | 'OUTDATED';

export type ImageVersionStatus = 'ACTIVE' | 'INACTIVE';
export type ImageBuildState = 'PENDING' | 'IN_PROGRESS' | 'SUCCESSFUL' | 'FAILED';
export type HookSwitch = 'ENABLED' | 'DISABLED';
export type CpuArchitecture = 'ARM_64' | 'X86_64';

export interface Hooks {
  readonly port?: number;
  readonly microvmHooks?: {
    readonly run?: HookSwitch;
    readonly runTimeoutInSeconds?: number;
    readonly resume?: HookSwitch;
    readonly resumeTimeoutInSeconds?: number;
    readonly suspend?: HookSwitch;
    readonly suspendTimeoutInSeconds?: number;
    readonly terminate?: HookSwitch;
    readonly terminateTimeoutInSeconds?: number;
  };
  readonly microvmImageHooks?: {
    readonly ready?: HookSwitch;
    readonly readyTimeoutInSeconds?: number;
    readonly validate?: HookSwitch;
    readonly validateTimeoutInSeconds?: number;
  };
}

/** What Create and Update carry; frozen into a version. */
export interface ImageConfiguration {
  readonly baseImageArn: string;
  readonly baseImageVersion: string;
  readonly buildRoleArn: string;
  readonly description: string | null;
  readonly codeArtifact: { readonly uri: string };
  readonly logging: Logging | null;
  readonly egressNetworkConnectors: readonly string[];
  readonly cpuConfigurations: readonly { readonly architecture: CpuArchitecture }[] | null;
  readonly minimumMemoryInMiB: number;
  readonly additionalOsCapabilities: readonly 'ALL'[] | null;
  readonly hooks: Hooks | null;
  readonly environmentVariables: Readonly<Record<string, string>> | null;
}

export interface Image {
  /** UUID, unmodelled on the wire but present (spec section 1.4). */
  readonly id: string;
  readonly imageArn: string;
  readonly name: string;
  readonly state: ImageState;
  readonly latestActiveImageVersion: string | null;
  readonly latestFailedImageVersion: string | null;
  /** Number the next version takes; never reused. */
  readonly nextVersion: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface ImageVersion {
  readonly imageArn: string;
  /** `"1.0"`, `"2.0"`, … */
  readonly imageVersion: string;
  readonly state: ImageVersionState;
  readonly status: ImageVersionStatus;
  readonly stateReason: string | null;
  /** Null where nothing is known to be wrong with its snapshot. */
  readonly condition: VersionCondition | null;
  readonly configuration: ImageConfiguration;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface SnapshotSizes {
  readonly memorySnapshotSizeInBytes?: number;
  readonly codeInstallSizeInBytes?: number;
  readonly diskSnapshotSizeInBytes?: number;
}

export interface ImageBuild {
  readonly imageArn: string;
  readonly imageVersion: string;
  readonly buildId: string;
  readonly buildState: ImageBuildState;
  /** Architecture the snapshot was really made on; the wire shape is made of it in `api/`. */
  readonly architecture: CpuArchitecture;
  readonly stateReason: string | null;
  readonly snapshotBuild: SnapshotSizes | null;
  readonly createdAt: number;
}

export function versionLabel(number: number): string {
  return `${number}.0`;
}

/** Numeric order of labels such as `"10.0"`; newest last. */
export function compareVersions(a: string, b: string): number {
  return Number.parseInt(a, 10) - Number.parseInt(b, 10);
}

/** Whether new microVMs may be launched from it (spec section 2). */
export function isRunnable(version: ImageVersion): boolean {
  return version.state === 'SUCCESSFUL' && version.status === 'ACTIVE' && version.condition === null;
}

/** Default time limits in seconds of hooks that are enabled without one (spec section 0). */
export const defaultHookTimeouts = {
  ready: 60,
  validate: 1,
  run: 1,
  resume: 1,
  suspend: 1,
  terminate: 1,
} as const;
