import type { ImageAndVersion } from '../../images/image-service.ts';
import type { Hooks, Image, ImageConfiguration, ImageVersion } from '../../model/image.ts';
import type { Logging } from '../../model/microvm.ts';
import { toSeconds } from './time.ts';

/** Members of GetMicrovmImage; `id` is unmodelled but present (spec section 1.4). */
export function imageToWire(image: Image): object {
  return { ...summaryToWire(image), updatedAt: toSeconds(image.updatedAt), tags: image.tags };
}

export function imageItemToWire(image: Image): object {
  return summaryToWire(image);
}

export function createdImageToWire(created: ImageAndVersion): object {
  const { tags } = created.image;
  return { ...changedImageToWire(created), tags: Object.keys(tags).length === 0 ? null : tags };
}

/** Update answers as Create does, but without `tags`. */
export function changedImageToWire({ image, version }: ImageAndVersion): object {
  return {
    ...summaryToWire(image),
    updatedAt: toSeconds(image.updatedAt),
    imageVersion: version.imageVersion,
    ...configurationToWire(version.configuration),
    buildPhaseOverrides: null,
    roleConfiguration: null,
  };
}

export function versionToWire(version: ImageVersion): object {
  return {
    ...configurationToWire(version.configuration),
    imageArn: version.imageArn,
    imageVersion: version.imageVersion,
    state: version.state,
    status: version.status,
    stateReason: version.stateReason,
    createdAt: toSeconds(version.createdAt),
    updatedAt: toSeconds(version.updatedAt),
    versionStateTimeBucket: `${version.state}#${hourBucket(version.updatedAt)}`,
    tags: null,
  };
}

function summaryToWire(image: Image): object {
  return {
    imageArn: image.imageArn,
    id: image.id,
    name: image.name,
    state: image.state,
    latestActiveImageVersion: image.latestActiveImageVersion,
    latestFailedImageVersion: image.latestFailedImageVersion,
    createdAt: toSeconds(image.createdAt),
  };
}

function configurationToWire(configuration: ImageConfiguration): object {
  return {
    baseImageArn: configuration.baseImageArn,
    baseImageVersion: configuration.baseImageVersion,
    buildRoleArn: configuration.buildRoleArn,
    description: configuration.description,
    codeArtifact: configuration.codeArtifact,
    logging: configuration.logging === null ? null : loggingToWire(configuration.logging),
    egressNetworkConnectors: configuration.egressNetworkConnectors,
    cpuConfigurations: configuration.cpuConfigurations,
    resources: [{ minimumMemoryInMiB: configuration.minimumMemoryInMiB }],
    additionalOsCapabilities: configuration.additionalOsCapabilities,
    hooks: configuration.hooks === null ? null : hooksToWire(configuration.hooks),
    environmentVariables: configuration.environmentVariables,
  };
}

function loggingToWire(logging: Logging): object {
  if ('disabled' in logging) return { disabled: {} };
  const { logGroup, logStream } = logging.cloudWatch;
  return { cloudWatch: { logGroup: logGroup ?? null, logStream: logStream ?? null } };
}

function hooksToWire({ port, microvmHooks, microvmImageHooks }: Hooks): object {
  return {
    port: port ?? null,
    microvmHooks:
      microvmHooks === undefined
        ? null
        : {
            run: microvmHooks.run ?? null,
            runTimeoutInSeconds: microvmHooks.runTimeoutInSeconds ?? null,
            resume: microvmHooks.resume ?? null,
            resumeTimeoutInSeconds: microvmHooks.resumeTimeoutInSeconds ?? null,
            suspend: microvmHooks.suspend ?? null,
            suspendTimeoutInSeconds: microvmHooks.suspendTimeoutInSeconds ?? null,
            terminate: microvmHooks.terminate ?? null,
            terminateTimeoutInSeconds: microvmHooks.terminateTimeoutInSeconds ?? null,
          },
    microvmImageHooks:
      microvmImageHooks === undefined
        ? null
        : {
            ready: microvmImageHooks.ready ?? null,
            readyTimeoutInSeconds: microvmImageHooks.readyTimeoutInSeconds ?? null,
            validate: microvmImageHooks.validate ?? null,
            validateTimeoutInSeconds: microvmImageHooks.validateTimeoutInSeconds ?? null,
          },
  };
}

/** `YYMMDDHH` in UTC. */
function hourBucket(time: number): string {
  return new Date(time).toISOString().slice(2, 13).replace(/[-T]/g, '');
}
