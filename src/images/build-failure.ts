import type { ArtifactErrorCode } from '../blobs/artifact-source.ts';
import type { CapacityResource } from '../model/capacity.ts';

/** Codes of spec section 3.4. */
export type BuildFailureCode =
  | ArtifactErrorCode
  | 'ARCHIVE_DOCKERFILE_NOT_FOUND'
  | 'ARCHIVE_INVALID'
  | 'CONTAINER_BUILD_FAILED'
  | 'DISK_STORAGE_FULL'
  | 'HOOK_FAILED'
  | 'INSUFFICIENT_CAPACITY'
  | 'APPLICATION_EXITED'
  | 'INTERNAL_PLATFORM_ERROR';

/** Most of a cause that is told. */
const causeCharacters = 300;

/** A build ended for a reason its owner should read; the message becomes the build's `stateReason`. */
export class BuildFailure extends Error {
  override readonly name = 'BuildFailure';
  readonly code: BuildFailureCode;

  constructor(code: BuildFailureCode, reason: string, options?: ErrorOptions) {
    super(reason, options);
    this.code = code;
  }
}

/** The server is going down: the build stays as it is in the store and is started again by the next server. */
export class BuildInterrupted extends Error {
  override readonly name = 'BuildInterrupted';
}

export function archiveInvalid(detail: string): BuildFailure {
  return new BuildFailure('ARCHIVE_INVALID', `ARCHIVE_INVALID: ${detail}`);
}

/** @param name path of the Dockerfile in the archive */
export function dockerfileNotFound(name = 'Dockerfile'): BuildFailure {
  const what = name === 'Dockerfile' ? 'named Dockerfile at its root' : JSON.stringify(name);
  return new BuildFailure(
    'ARCHIVE_DOCKERFILE_NOT_FOUND',
    `ARCHIVE_DOCKERFILE_NOT_FOUND: The archive has no regular file ${what}.`,
  );
}

export function diskFull(detail: string): BuildFailure {
  return new BuildFailure('DISK_STORAGE_FULL', `DISK_STORAGE_FULL: ${detail}`);
}

/** The first sentence is the service's own; the details after it, where there are any, are `unrecorded`. */
export function containerBuildFailed(detail?: string): BuildFailure {
  const recorded = 'The container image build failed.';
  return new BuildFailure(
    'CONTAINER_BUILD_FAILED',
    detail === undefined ? recorded : `${recorded} ${detail}`,
  );
}

/** Unrecorded for builds; the words are those of a running VM (spec section 4.3). */
export function applicationExited(code: number): BuildFailure {
  return new BuildFailure('APPLICATION_EXITED', `Container Stopped with Exit Code: ${code}`);
}

/** The first sentences are in the service's manner; the cause after them, in a line without the host's paths, is ours. */
export function platformError(cause: unknown): BuildFailure {
  const recorded = 'INTERNAL_PLATFORM_ERROR: The build failed inside the platform. Please try again.';
  const said = withoutHostPaths(cause instanceof Error ? cause.message : String(cause)).trim();
  const line = (said.split('\n').findLast((text) => text.trim() !== '') ?? '').slice(0, causeCharacters);
  return new BuildFailure('INTERNAL_PLATFORM_ERROR', line === '' ? recorded : `${recorded} Cause: ${line}`, {
    cause,
  });
}

/** Of a path on this host only the last name is anybody's business but the operator's. */
function withoutHostPaths(text: string): string {
  return text.replace(/(?<![\w.:/])\/(?:[^\s/:'"`,]+\/)+/g, '');
}

/** Unrecorded: the service has room for everybody. */
function insufficientCapacity(detail: string): BuildFailure {
  return new BuildFailure('INSUFFICIENT_CAPACITY', `INSUFFICIENT_CAPACITY: ${detail}`);
}

/**
 * @param wanted bytes, or virtual CPUs
 * @param most what all microVMs together may have of it
 */
export function hostTooSmall(resource: CapacityResource, wanted: number, most: number): BuildFailure {
  const amount = (value: number): string =>
    resource === 'CPU'
      ? `${Math.floor(value)} virtual CPUs`
      : `${Math.floor(value / 1024 ** 2)} MiB of ${resource}`;
  return insufficientCapacity(
    `The MicroVM of this size needs ${amount(wanted)}, and on this host all of them may have ${amount(most)}.`,
  );
}

export function noRoom(resource: CapacityResource, minutes: number): BuildFailure {
  return insufficientCapacity(
    `For ${minutes} minutes the host had not enough ${resource} for the build. Please try again later.`,
  );
}
