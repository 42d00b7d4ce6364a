import { defineOperation } from '../operation.ts';
import { pageOf, paginate } from '../page-token.ts';
import { listManagedImages } from '../shapes/images.ts';
import { toSeconds } from '../wire/time.ts';
import { managedImages } from './managed-images.ts';

export const listManagedMicrovmImages = defineOperation({
  name: 'ListManagedMicrovmImages',
  method: 'GET',
  path: '/2025-09-09/managed-microvm-images',
  status: 200,
  input: listManagedImages,
  async handle(request, { api }) {
    const images = managedImages(api.options.realm.region);
    return paginate(
      api.pageTokens,
      { operation: 'ListManagedMicrovmImages', filter: {} },
      request,
      async (page) => pageOf(images, (image) => image.imageArn, page),
      ({ imageArn, createdAt, updatedAt }) => ({
        imageArn,
        createdAt: toSeconds(createdAt),
        updatedAt: toSeconds(updatedAt),
      }),
    );
  },
});
