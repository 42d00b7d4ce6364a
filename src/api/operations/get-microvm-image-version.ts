import { resolveImage } from '../image-identifier.ts';
import { defineOperation } from '../operation.ts';
import { versionOnly } from '../shapes/images.ts';
import { versionToWire } from '../wire/image.ts';

export const getMicrovmImageVersion = defineOperation({
  name: 'GetMicrovmImageVersion',
  method: 'GET',
  path: '/2025-09-09/microvm-images/{imageIdentifier}/versions/{imageVersion}',
  status: 200,
  input: versionOnly,
  async handle({ imageIdentifier, imageVersion }, call) {
    const imageArn = resolveImage(imageIdentifier, call, 'GetMicrovmImageVersion');
    return versionToWire(await call.api.services.images.getVersion(imageArn, imageVersion));
  },
});
