import { compareVersions } from '../../model/image.ts';
import { defineOperation } from '../operation.ts';
import { structure } from '../shapes/shape.ts';

/** Versions of all images that cannot be launched from although they were built: why, and what to do. */
export const listImageConditions = defineOperation({
  name: 'ListImageConditions',
  method: 'GET',
  path: '/dormouse/v1/image-conditions',
  status: 200,
  input: structure({}),
  async handle(_input, { api }) {
    const versions = await api.services.images.unusableVersions();
    return {
      versions: versions
        .toSorted(
          (a, b) => a.imageArn.localeCompare(b.imageArn) || compareVersions(a.imageVersion, b.imageVersion),
        )
        .map(({ imageArn, imageVersion, status, condition, stateReason }) => ({
          imageArn,
          imageVersion,
          status,
          condition,
          stateReason,
        })),
    };
  },
});
