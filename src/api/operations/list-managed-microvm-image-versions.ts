import { imageNotFound } from '../../errors.ts';
import { defineOperation } from '../operation.ts';
import { pageOf, paginate } from '../page-token.ts';
import { listManagedVersions } from '../shapes/images.ts';
import { toSeconds } from '../wire/time.ts';
import { managedImageVersions } from './managed-images.ts';

export const listManagedMicrovmImageVersions = defineOperation({
  name: 'ListManagedMicrovmImageVersions',
  method: 'GET',
  path: '/2025-09-09/managed-microvm-images/{imageIdentifier}/versions',
  status: 200,
  input: listManagedVersions,
  async handle(request, { api }) {
    const { imageIdentifier } = request;
    const versions = managedImageVersions(api.options.realm.region).filter(
      (version) => version.imageArn === imageIdentifier,
    );
    if (versions.length === 0) throw imageNotFound(imageIdentifier);
    return paginate(
      api.pageTokens,
      { operation: 'ListManagedMicrovmImageVersions', filter: { imageIdentifier } },
      request,
      async (page) => pageOf(versions, (version) => version.imageVersion, page),
      ({ imageArn, imageVersion, createdAt, updatedAt }) => ({
        imageArn,
        imageVersion,
        status: 'AVAILABLE',
        createdAt: toSeconds(createdAt),
        updatedAt: toSeconds(updatedAt),
      }),
    );
  },
});
