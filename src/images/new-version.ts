import { randomUUID } from 'node:crypto';
import type { CpuArchitecture, Image, ImageConfiguration } from '../model/image.ts';
import type { BuildRecord } from '../store/images.ts';

/** A version that is to be built, and its build. */
export function newVersion(
  image: Image,
  imageVersion: string,
  configuration: ImageConfiguration,
  architecture: CpuArchitecture,
): BuildRecord {
  const { imageArn, updatedAt: now } = image;
  return {
    image,
    version: {
      imageArn,
      imageVersion,
      state: 'PENDING',
      status: 'INACTIVE',
      stateReason: null,
      condition: null,
      configuration,
      createdAt: now,
      updatedAt: now,
    },
    build: {
      imageArn,
      imageVersion,
      buildId: randomUUID(),
      buildState: 'PENDING',
      architecture,
      stateReason: null,
      snapshotBuild: null,
      createdAt: now,
    },
  };
}
