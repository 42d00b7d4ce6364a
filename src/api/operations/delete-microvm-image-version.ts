import { resolveImage } from '../image-identifier.ts';
import { defineOperation } from '../operation.ts';
import { versionOnly } from '../shapes/images.ts';

export const deleteMicrovmImageVersion = defineOperation({
  name: 'DeleteMicrovmImageVersion',
  method: 'DELETE',
  path: '/2025-09-09/microvm-images/{imageIdentifier}/versions/{imageVersion}',
  status: 200,
  input: versionOnly,
  async handle({ imageIdentifier, imageVersion }, call) {
    const imageArn = resolveImage(imageIdentifier, call, 'DeleteMicrovmImageVersion');
    const version = await call.api.services.images.deleteVersion(imageArn, imageVersion);
    return { imageIdentifier: version.imageArn, imageVersion: version.imageVersion, state: version.state };
  },
});
