import { resolveImage } from '../image-identifier.ts';
import { defineOperation } from '../operation.ts';
import { imageOnly } from '../shapes/images.ts';
import { imageToWire } from '../wire/image.ts';

export const getMicrovmImage = defineOperation({
  name: 'GetMicrovmImage',
  method: 'GET',
  path: '/2025-09-09/microvm-images/{imageIdentifier}',
  status: 200,
  input: imageOnly,
  async handle({ imageIdentifier }, call) {
    const imageArn = resolveImage(imageIdentifier, call, 'GetMicrovmImage');
    return imageToWire(await call.api.services.images.get(imageArn));
  },
});
