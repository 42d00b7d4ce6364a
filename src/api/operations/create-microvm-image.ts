import { refuseCustomerKey } from '../customer-key.ts';
import { defineOperation } from '../operation.ts';
import { createImage } from '../shapes/images.ts';
import { createdImageToWire } from '../wire/image.ts';

export const createMicrovmImage = defineOperation({
  name: 'CreateMicrovmImage',
  method: 'POST',
  path: '/2025-09-09/microvm-images',
  status: 201,
  input: createImage,
  async handle(request, { api }) {
    refuseCustomerKey(request);
    return createdImageToWire(await api.services.images.create(request));
  },
});
