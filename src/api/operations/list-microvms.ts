import { resolveImage } from '../image-identifier.ts';
import { defineOperation } from '../operation.ts';
import { paginate } from '../page-token.ts';
import { listMicrovms as input } from '../shapes/microvms.ts';
import { microvmItemToWire } from '../wire/microvm.ts';

export const listMicrovms = defineOperation({
  name: 'ListMicrovms',
  method: 'GET',
  path: '/2025-09-09/microvms',
  status: 200,
  input,
  async handle(request, call) {
    const { imageIdentifier, imageVersion } = request;
    const imageArn =
      imageIdentifier === undefined ? undefined : resolveImage(imageIdentifier, call, 'ListMicrovms');
    const filter = { imageArn, imageVersion };
    return paginate(
      call.api.pageTokens,
      { operation: 'ListMicrovms', filter },
      request,
      (page) => call.api.services.microvms.list(page, filter),
      microvmItemToWire,
    );
  },
});
