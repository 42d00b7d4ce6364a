import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import {
  imageBusyForUpdate,
  imageQuotaExceeded,
  imageVersionNotFound,
  imageVersionQuotaExceeded,
} from '../errors.ts';
import { imageArn } from '../model/arn.ts';
import {
  busyStates,
  type Image,
  type ImageVersion,
  type SnapshotSizes,
  versionLabel,
} from '../model/image.ts';
import { limits } from '../model/limits.ts';
import type { ImageRepository } from '../store/images.ts';
import type { ImageAndVersion } from './image-service.ts';
import type { ImagesOptions } from './images.ts';
import { makeVersionDirectory } from './version-directory.ts';

type Dependencies = Pick<ImagesOptions, 'paths' | 'profile' | 'realm' | 'clock' | 'vmm'> & {
  readonly repository: ImageRepository;
};

/**
 * Adds a version that no build made: files first, then its rows, all at once, so that what a crash leaves is files
 * of a version nobody knows, which the next server removes. Nothing else may change images meanwhile.
 */
export async function addDerivedVersion(
  dependencies: Dependencies,
  from: Pick<ImageVersion, 'imageArn' | 'imageVersion'>,
  name: string | undefined,
  make: (snapshot: string) => Promise<SnapshotSizes>,
): Promise<ImageAndVersion> {
  const { paths, repository, clock } = dependencies;
  const origin = await repository.getVersion(from.imageArn, from.imageVersion);
  if (origin === undefined) throw imageVersionNotFound(from.imageArn, from.imageVersion);
  const { image, imageVersion } = await nextVersion(dependencies, from.imageArn, name);
  const version: ImageVersion = {
    ...origin,
    imageArn: image.imageArn,
    imageVersion,
    state: 'SUCCESSFUL',
    status: 'ACTIVE',
    stateReason: null,
    condition: null,
    createdAt: clock.now(),
    updatedAt: clock.now(),
  };
  const { directory, snapshot } = paths.version(version);
  try {
    await makeVersionDirectory({ directory, snapshot });
    const snapshotBuild = await make(snapshot);
    const build = {
      imageArn: image.imageArn,
      imageVersion,
      buildId: randomUUID(),
      buildState: 'SUCCESSFUL',
      architecture: dependencies.vmm.origin.architecture === 'arm64' ? 'ARM_64' : 'X86_64',
      stateReason: null,
      snapshotBuild,
      createdAt: clock.now(),
    } as const;
    await repository.addVersion({ image, version, build }, undefined);
    return { image, version };
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

/** The image as it is with one more version, and that version's label. */
async function nextVersion(
  { repository, realm, profile, clock }: Dependencies,
  originArn: string,
  name: string | undefined,
): Promise<{ readonly image: Image; readonly imageVersion: string }> {
  const arn = name === undefined ? originArn : imageArn(realm, name);
  const existing = await repository.get(arn);
  const updatedAt = clock.now();
  if (existing === undefined) {
    if ((await repository.count()) >= limits[profile].images) throw imageQuotaExceeded(realm.accountId);
    const imageVersion = versionLabel(1);
    const image: Image = {
      id: randomUUID(),
      imageArn: arn,
      name: name ?? arn.slice(arn.lastIndexOf(':') + 1),
      state: 'CREATED',
      latestActiveImageVersion: imageVersion,
      latestFailedImageVersion: null,
      nextVersion: 2,
      tags: {},
      createdAt: updatedAt,
      updatedAt,
    };
    return { image, imageVersion };
  }
  if (busyStates.includes(existing.state)) throw imageBusyForUpdate(arn);
  const versions = await repository.allVersions(arn);
  if (versions.length >= limits[profile].versionsPerImage) throw imageVersionQuotaExceeded(arn);
  const imageVersion = versionLabel(existing.nextVersion);
  const image: Image = {
    ...existing,
    state: 'UPDATED',
    latestActiveImageVersion: imageVersion,
    nextVersion: existing.nextVersion + 1,
    updatedAt,
  };
  return { image, imageVersion };
}
