import { noActiveVersion } from '../errors.ts';
import { type ImageVersion, isRunnable } from '../model/image.ts';
import type { ImageRepository } from '../store/images.ts';

/**
 * The version a launch uses: the named one, or the newest active one. Where that is damaged or outdated no older one
 * takes its place: it is other software, and not what was asked for.
 * @throws {ServiceError} there is none, or it cannot be launched from
 */
export async function findRunnable(
  repository: ImageRepository,
  imageArn: string,
  version: string | undefined,
): Promise<ImageVersion> {
  const image = await repository.get(imageArn);
  if (image === undefined || image.state === 'DELETING') throw noActiveVersion(imageArn, version);
  const found =
    version === undefined
      ? await repository.newestActive(imageArn)
      : await repository.getVersion(imageArn, version);
  if (found !== undefined && isRunnable(found)) return found;
  if (found?.status !== 'ACTIVE' || found.condition === null) throw noActiveVersion(imageArn, version);
  throw noActiveVersion(imageArn, found.imageVersion, found.stateReason);
}
