import { resolveImage } from '../image-identifier.ts';
import { defineOperation } from '../operation.ts';
import { imageOnly } from '../shapes/images.ts';

export const deleteMicrovmImage = defineOperation({
  name: 'DeleteMicrovmImage',
  method: 'DELETE',
  path: '/2025-09-09/microvm-images/{imageIdentifier}',
  status: 200,
  input: imageOnly,
  async handle({ imageIdentifier }, call) {
    const imageArn = resolveImage(imageIdentifier, call, 'DeleteMicrovmImage');
    const image = await call.api.services.images.delete(imageArn);
    return { imageIdentifier: image.imageArn, state: image.state };
  },
});
