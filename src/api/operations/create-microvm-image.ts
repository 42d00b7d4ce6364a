import { ownClientToken } from '../client-token.ts';
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
  async handle(request, call) {
    refuseCustomerKey(request);
    const clientToken = ownClientToken(request.clientToken, call);
    return createdImageToWire(await call.api.services.images.create({ ...request, clientToken }));
  },
});
