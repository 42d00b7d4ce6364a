import { defineOperation } from '../operation.ts';
import { paginate } from '../page-token.ts';
import { listImages } from '../shapes/images.ts';
import { imageItemToWire } from '../wire/image.ts';

export const listMicrovmImages = defineOperation({
  name: 'ListMicrovmImages',
  method: 'GET',
  path: '/2025-09-09/microvm-images',
  status: 200,
  input: listImages,
  async handle(request, { api }) {
    const { nameFilter } = request;
    return paginate(
      api.pageTokens,
      { operation: 'ListMicrovmImages', filter: { nameFilter } },
      request,
      (page) => api.services.images.list(page, nameFilter),
      imageItemToWire,
    );
  },
});
