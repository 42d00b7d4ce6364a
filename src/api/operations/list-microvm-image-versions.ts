import { resolveImage } from '../image-identifier.ts';
import { defineOperation } from '../operation.ts';
import { paginate } from '../page-token.ts';
import { listVersions } from '../shapes/images.ts';
import { versionToWire } from '../wire/image.ts';

export const listMicrovmImageVersions = defineOperation({
  name: 'ListMicrovmImageVersions',
  method: 'GET',
  path: '/2025-09-09/microvm-images/{imageIdentifier}/versions',
  status: 200,
  input: listVersions,
  async handle({ imageIdentifier, ...request }, call) {
    const { pageTokens, services } = call.api;
    const imageArn = resolveImage(imageIdentifier, call, 'ListMicrovmImageVersions');
    return paginate(
      pageTokens,
      { operation: 'ListMicrovmImageVersions', filter: { imageArn } },
      request,
      (page) => services.images.listVersions(imageArn, page),
      versionToWire,
    );
  },
});
