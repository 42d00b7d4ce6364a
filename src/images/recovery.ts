import { rm } from 'node:fs/promises';
import path from 'node:path';
import { ensureDirectory } from '../blobs/durable.ts';
import { entries } from '../blobs/entries.ts';
import type { ImageVersion } from '../model/image.ts';
import type { Vmm } from '../vmm/vmm.ts';
import { type ImagePaths, nameOf } from './image-paths.ts';

/** Ends the VMs that builds of an earlier server left behind, then removes all files of those builds. */
export async function removeAbandonedBuilds(paths: ImagePaths, vmm: Pick<Vmm, 'adopt'>): Promise<void> {
  for (const buildId of await entries(paths.builds)) {
    const build = paths.build(buildId);
    for (const directory of [build.vm, build.validation]) {
      const instance = await vmm.adopt(directory);
      await instance?.kill();
    }
    await rm(build.directory, { recursive: true, force: true });
  }
}

/**
 * Makes the directory of all versions, and removes from it those that `keep` does not name, and images none of whose
 * versions it names.
 */
export async function removeForeignVersions(
  paths: ImagePaths,
  keep: readonly Pick<ImageVersion, 'imageArn' | 'imageVersion'>[],
): Promise<void> {
  await ensureDirectory(paths.versions);
  const kept = new Set(keep.map((version) => paths.version(version).directory));
  const keptImages = new Set(keep.map((version) => nameOf(version.imageArn)));
  for (const name of await entries(paths.versions)) {
    const directory = path.join(paths.versions, name);
    if (!keptImages.has(name)) {
      await rm(directory, { recursive: true, force: true });
      continue;
    }
    for (const label of await entries(directory)) {
      const version = path.join(directory, label);
      if (!kept.has(version)) await rm(version, { recursive: true, force: true });
    }
  }
}
