import { normalizeVersion, resolveImage } from '../image-identifier.ts';
import { defineOperation } from '../operation.ts';
import { pageOf, paginate } from '../page-token.ts';
import { listBuilds } from '../shapes/images.ts';
import { buildItemToWire, type PresentedBuild } from '../wire/build.ts';
import { presentedBuilds } from './presented-builds.ts';

export const listMicrovmImageBuilds = defineOperation({
  name: 'ListMicrovmImageBuilds',
  method: 'GET',
  path: '/2025-09-09/microvm-images/{imageIdentifier}/versions/{imageVersion}/builds',
  status: 200,
  input: listBuilds,
  async handle(request, call) {
    const imageArn = resolveImage(request.imageIdentifier, call, 'ListMicrovmImageBuilds');
    const imageVersion = normalizeVersion(request.imageVersion);
    const { architecture, chipset, chipsetGeneration } = request;
    const wanted = (build: PresentedBuild): boolean =>
      (architecture ?? build.architecture) === build.architecture &&
      (chipset ?? build.chipset) === build.chipset &&
      (chipsetGeneration ?? build.chipsetGeneration) === build.chipsetGeneration;
    return paginate(
      call.api.pageTokens,
      {
        operation: 'ListMicrovmImageBuilds',
        filter: { imageArn, imageVersion, architecture, chipset, chipsetGeneration },
      },
      request,
      async (page) => {
        const builds = await presentedBuilds(call.api, imageArn, imageVersion);
        return pageOf(builds.filter(wanted), (build) => build.buildId, page);
      },
      buildItemToWire,
    );
  },
});
