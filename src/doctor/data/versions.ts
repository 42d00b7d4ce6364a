import path from 'node:path';
import { entries } from '../../blobs/entries.ts';
import { nameOf } from '../../images/image-paths.ts';
import { conditionFrom, hasSnapshot } from '../../images/version-conditions.ts';
import type { ImageVersion } from '../../model/image.ts';
import { ImageRepository } from '../../store/images.ts';
import { MicrovmRepository } from '../../store/microvms.ts';
import { verifySnapshot } from '../../vmm/qemu/snapshot-checks.ts';
import type { DataContext } from './context.ts';
import type { Finding, Repair } from './finding.ts';
import { leftOver, remove, unreadable } from './left-over.ts';

/** Image versions whose snapshot is damaged, outdated or not what its row says, and files of no version. */
export async function examineVersions(context: DataContext): Promise<readonly Finding[]> {
  const versions = await new ImageRepository(context.reading).allVersions();
  const found: Finding[] = [];
  for (const version of versions.filter(hasSnapshot))
    found.push(...(await examine(context, version, versions)));
  return [...found, ...(await foreignFiles(context, versions))];
}

async function examine(
  context: DataContext,
  version: ImageVersion,
  all: readonly ImageVersion[],
): Promise<readonly Finding[]> {
  const subject = `${nameOf(version.imageArn)} ${version.imageVersion}`;
  const { snapshot } = context.paths.version(version);
  const error = await verifySnapshot(snapshot, context.helper).then(
    () => undefined,
    (failure: unknown) => failure,
  );
  if (error === undefined) return unharmed(context, version, subject);
  const damage = conditionFrom(error, snapshot);
  const detail = error instanceof Error ? error.message : String(error);
  if (damage === undefined) return [{ kind: 'damaged-version', subject, ...unreadable(detail) }];
  const inUse = await new MicrovmRepository(context.reading).hasLive(version.imageArn, version.imageVersion);
  const remedy = 'restore its files from a backup, or build the image again';
  const damaged: Finding = {
    kind: 'damaged-version',
    subject,
    detail,
    remedy: inUse ? `${remedy}; microVMs that were launched from it cannot be woken without it` : remedy,
    ...(inUse ? {} : { repair: deletion(context, version, all) }),
  };
  if (version.condition === 'DAMAGED') return [damaged];
  const mark = async (): Promise<void> => await setCondition(context, version, 'DAMAGED', damage.reason);
  const unmarked: Finding = {
    kind: 'unmarked-version',
    subject,
    detail: `${detail}, and the server would find out at the next launch only`,
    repair: { does: `mark ${subject} as damaged`, run: mark },
  };
  return [unmarked, damaged];
}

function unharmed(context: DataContext, version: ImageVersion, subject: string): readonly Finding[] {
  if (version.condition === 'DAMAGED') {
    const run = async (): Promise<void> => await setCondition(context, version, null, null);
    const repair = { does: `mark ${subject} as whole`, run };
    return [{ kind: 'healed-version', subject, detail: 'marked as damaged, and whole again', repair }];
  }
  if (version.condition !== 'OUTDATED') return [];
  const detail = version.stateReason ?? '';
  return [{ kind: 'outdated-version', subject, detail, remedy: 'build the image again' }];
}

async function setCondition(
  context: DataContext,
  version: ImageVersion,
  condition: ImageVersion['condition'],
  reason: string | null,
): Promise<void> {
  const repository = new ImageRepository(await context.writing());
  await repository.setCondition(version, condition, reason, context.now());
}

/** An image has at least one version: with its last one it is deleted as a whole. */
function deletion(context: DataContext, version: ImageVersion, all: readonly ImageVersion[]): Repair {
  const { imageArn, imageVersion } = version;
  const name = nameOf(imageArn);
  if (all.filter((other) => other.imageArn === imageArn).length === 1) {
    return {
      does: `delete the image ${name}, of which ${imageVersion} is the only version`,
      async run() {
        const repository = new ImageRepository(await context.writing());
        await repository.setImageState(imageArn, 'DELETING', context.now());
        await remove(context.paths.image(imageArn));
        await repository.removeImage(imageArn, context.now());
      },
    };
  }
  return {
    does: `delete version ${imageVersion} of the image ${name}`,
    async run() {
      const repository = new ImageRepository(await context.writing());
      await repository.startVersionDeletion(version, context.now());
      await remove(context.paths.version(version).directory);
      await repository.removeVersion(version, context.now());
    },
  };
}

async function foreignFiles(
  { paths }: DataContext,
  versions: readonly ImageVersion[],
): Promise<readonly Finding[]> {
  const known = new Set(versions.map((version) => paths.version(version).directory));
  const found: Finding[] = [];
  for (const image of await entries(paths.versions)) {
    for (const label of await entries(path.join(paths.versions, image))) {
      const directory = path.join(paths.versions, image, label);
      if (!known.has(directory)) found.push(leftOver('version-files', directory, 'of no image version'));
    }
  }
  for (const build of await entries(paths.builds)) {
    found.push(leftOver('build-files', path.join(paths.builds, build), 'of a build that was cut short'));
  }
  return found;
}
