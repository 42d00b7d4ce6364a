import { resolveImage } from '../image-identifier.ts';
import { defineOperation } from '../operation.ts';
import { updateVersion } from '../shapes/images.ts';
import { versionToWire } from '../wire/image.ts';

export const updateMicrovmImageVersion = defineOperation({
  name: 'UpdateMicrovmImageVersion',
  method: 'PATCH',
  path: '/2025-09-09/microvm-images/{imageIdentifier}/versions/{imageVersion}',
  status: 200,
  input: updateVersion,
  async handle({ imageIdentifier, imageVersion, status }, call) {
    const imageArn = resolveImage(imageIdentifier, call, 'UpdateMicrovmImageVersion');
    return versionToWire(await call.api.services.images.setVersionStatus(imageArn, imageVersion, status));
  },
});
