import { imageBuildNotFound } from '../../errors.ts';
import { normalizeVersion, resolveImage } from '../image-identifier.ts';
import { defineOperation } from '../operation.ts';
import { getBuild } from '../shapes/images.ts';
import { buildToWire } from '../wire/build.ts';
import { presentedBuilds } from './presented-builds.ts';

export const getMicrovmImageBuild = defineOperation({
  name: 'GetMicrovmImageBuild',
  method: 'GET',
  path: '/2025-09-09/microvm-images/{imageIdentifier}/versions/{imageVersion}/builds/{buildId}',
  status: 200,
  input: getBuild,
  async handle({ imageIdentifier, imageVersion, buildId }, call) {
    const imageArn = resolveImage(imageIdentifier, call, 'GetMicrovmImageBuild');
    const version = normalizeVersion(imageVersion);
    const builds = await presentedBuilds(call.api, imageArn, version);
    const found = builds.find((build) => build.buildId === buildId);
    if (found === undefined) throw imageBuildNotFound(imageArn, version, buildId);
    return buildToWire(found);
  },
});
