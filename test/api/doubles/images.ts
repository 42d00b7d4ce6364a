import { randomUUID } from 'node:crypto';
import { pageOf } from '../../../src/api/page-token.ts';
import * as errors from '../../../src/errors.ts';
import type { ImageAndVersion, ImageInput, ImageService } from '../../../src/images/image-service.ts';
import { imageArn, managedConnectorArn, type Realm } from '../../../src/model/arn.ts';
import type { Image, ImageBuild, ImageVersion } from '../../../src/model/image.ts';

/** Images in memory: the same states and refusals, no builds. */
export function createMemoryImages(realm: Realm, now: () => number): ImageService {
  const images = new Map<string, Image>();
  const versions = new Map<string, ImageVersion[]>();
  const builds = new Map<string, ImageBuild>();

  function image(arn: string): Image {
    const found = images.get(arn);
    if (found === undefined) throw errors.imageNotFound(arn);
    return found;
  }

  function version(arn: string, label: string): ImageVersion {
    const found = versions.get(arn)?.find((candidate) => candidate.imageVersion === label);
    if (found === undefined) throw errors.imageVersionNotFound(arn, label);
    return found;
  }

  function addVersion(owner: Image, input: ImageInput): ImageAndVersion {
    const label = `${owner.nextVersion}.0`;
    const created: ImageVersion = {
      imageArn: owner.imageArn,
      imageVersion: label,
      state: 'SUCCESSFUL',
      status: 'ACTIVE',
      stateReason: null,
      condition: null,
      configuration: {
        baseImageArn: input.baseImageArn,
        baseImageVersion: `${input.baseImageVersion ?? '1'}.0`,
        buildRoleArn: input.buildRoleArn,
        description: input.description ?? null,
        codeArtifact: input.codeArtifact,
        logging: input.logging ?? null,
        egressNetworkConnectors: input.egressNetworkConnectors ?? [
          managedConnectorArn(realm.region, 'INTERNET_EGRESS'),
        ],
        cpuConfigurations: input.cpuConfigurations ?? null,
        minimumMemoryInMiB: input.resources?.[0]?.minimumMemoryInMiB ?? 2048,
        additionalOsCapabilities: input.additionalOsCapabilities ?? null,
        hooks: input.hooks ?? null,
        environmentVariables: input.environmentVariables ?? null,
      },
      createdAt: now(),
      updatedAt: now(),
    };
    const updated = { ...owner, nextVersion: owner.nextVersion + 1, updatedAt: now() };
    images.set(owner.imageArn, updated);
    versions.set(owner.imageArn, [created, ...(versions.get(owner.imageArn) ?? [])]);
    builds.set(`${owner.imageArn} ${label}`, {
      imageArn: owner.imageArn,
      imageVersion: label,
      buildId: randomUUID(),
      buildState: 'SUCCESSFUL',
      architecture: 'X86_64',
      stateReason: null,
      snapshotBuild: { memorySnapshotSizeInBytes: 3, codeInstallSizeInBytes: 2, diskSnapshotSizeInBytes: 1 },
      createdAt: now(),
    });
    return { image: updated, version: created };
  }

  return {
    async create(input) {
      const arn = imageArn(realm, input.name);
      if (images.has(arn)) throw errors.imageNameTaken(input.name);
      const created: Image = {
        id: randomUUID(),
        imageArn: arn,
        name: input.name,
        state: 'CREATING',
        latestActiveImageVersion: null,
        latestFailedImageVersion: null,
        nextVersion: 1,
        tags: input.tags ?? {},
        createdAt: now(),
        updatedAt: now(),
      };
      return addVersion(created, input);
    },
    async update(arn, input) {
      return addVersion({ ...image(arn), state: 'UPDATING', latestActiveImageVersion: '1.0' }, input);
    },
    async addDerived(from, name, make) {
      const origin = version(from.imageArn, from.imageVersion);
      await make('/nowhere');
      const arn = name === undefined ? from.imageArn : imageArn(realm, name);
      const owner = { ...image(from.imageArn), imageArn: arn, ...images.get(arn) };
      const derived = { ...origin, imageArn: arn, imageVersion: `${owner.nextVersion}.0` };
      const updated = { ...owner, nextVersion: owner.nextVersion + 1 };
      images.set(arn, updated);
      versions.set(arn, [derived, ...(versions.get(arn) ?? [])]);
      return { image: updated, version: derived };
    },
    get: async (arn) => image(arn),
    async list(page, nameFilter) {
      const all = pageOf([...images.values()], (item) => item.imageArn, page);
      return { ...all, items: all.items.filter((item) => item.name.includes(nameFilter ?? '')) };
    },
    async delete(arn) {
      const deleted: Image = { ...image(arn), state: 'DELETING' };
      images.delete(arn);
      return deleted;
    },
    getVersion: async (arn, label) => version(arn, label),
    async listVersions(arn, page) {
      image(arn);
      return pageOf(versions.get(arn) ?? [], (item) => item.imageVersion, page);
    },
    unusableVersions: async () => [...versions.values()].flat().filter(({ condition }) => condition !== null),
    async setVersionStatus(arn, label, status) {
      const changed = { ...version(arn, label), status };
      versions.set(
        arn,
        (versions.get(arn) ?? []).map((item) => (item.imageVersion === label ? changed : item)),
      );
      return changed;
    },
    async deleteVersion(arn, label) {
      const found = version(arn, label);
      if (versions.get(arn)?.length === 1) throw errors.lastImageVersion();
      return { ...found, state: 'DELETING' };
    },
    async listBuilds(arn, label, page) {
      version(arn, label);
      const build = builds.get(`${arn} ${label}`);
      return pageOf(build === undefined ? [] : [build], (item) => item.buildId, page);
    },
    async getBuild(arn, label, buildId) {
      version(arn, label);
      const build = builds.get(`${arn} ${label}`);
      if (build?.buildId !== buildId) throw errors.imageBuildNotFound(arn, label, buildId);
      return build;
    },
    async tag(arn, tags) {
      images.set(arn, { ...image(arn), tags: { ...image(arn).tags, ...tags } });
    },
    async untag(arn, keys) {
      const kept = Object.entries(image(arn).tags).filter(([key]) => !keys.includes(key));
      images.set(arn, { ...image(arn), tags: Object.fromEntries(kept) });
    },
    async runnableVersion(arn, label) {
      const found = versions.get(arn)?.find((item) => item.imageVersion === (label ?? item.imageVersion));
      if (found === undefined) throw errors.noActiveVersion(arn, label);
      return found;
    },
    snapshotDirectory: () => '',
    withSnapshot: (_version, use) => use(''),
    watchSnapshots: () => undefined,
    recover: async () => undefined,
    close: async () => undefined,
  };
}
