import type { Api } from '../operation.ts';
import { type PresentedBuild, presentBuild } from '../wire/build.ts';

const readPageSize = 50;

/** All builds of a version as clients see them. A version has one real build or few. */
export async function presentedBuilds(
  api: Api,
  imageArn: string,
  imageVersion: string,
): Promise<readonly PresentedBuild[]> {
  const presented: PresentedBuild[] = [];
  let after: string | undefined;
  do {
    const page = await api.services.images.listBuilds(imageArn, imageVersion, { limit: readPageSize, after });
    presented.push(...page.items.flatMap((build) => presentBuild(build, api.options.profile)));
    after = page.next;
  } while (after !== undefined);
  return presented;
}
