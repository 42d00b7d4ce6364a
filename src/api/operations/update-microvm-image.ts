import { ownClientToken } from '../client-token.ts';
import { refuseCustomerKey } from '../customer-key.ts';
import { resolveImage } from '../image-identifier.ts';
import { defineOperation } from '../operation.ts';
import { updateImage } from '../shapes/images.ts';
import { changedImageToWire } from '../wire/image.ts';

export const updateMicrovmImage = defineOperation({
  name: 'UpdateMicrovmImage',
  method: 'PUT',
  path: '/2025-09-09/microvm-images/{imageIdentifier}',
  status: 200,
  input: updateImage,
  async handle({ imageIdentifier, ...request }, call) {
    refuseCustomerKey(request);
    const imageArn = resolveImage(imageIdentifier, call, 'UpdateMicrovmImage');
    const clientToken = ownClientToken(request.clientToken, call);
    return changedImageToWire(await call.api.services.images.update(imageArn, { ...request, clientToken }));
  },
});
