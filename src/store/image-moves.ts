import type { StateChange } from '../model/event.ts';
import type {
  ImageBuild,
  ImageBuildState,
  ImageState,
  ImageVersion,
  ImageVersionState,
  ImageVersionStatus,
  SnapshotSizes,
  VersionCondition,
} from '../model/image.ts';
import type { Store } from './database.ts';
import type { Emit } from './event-log.ts';
import { versionNumber } from './image-rows.ts';

/** A transaction, what tells of the changes in it, and the time they are said to happen. */
export interface Moment {
  readonly transaction: Store;
  readonly emit: Emit;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

type VersionKey = Pick<ImageVersion, 'imageArn' | 'imageVersion'>;

/** Changes an image's state, and tells of it where it is another one than before. */
export async function moveImage(
  { transaction, emit, now }: Moment,
  imageArn: string,
  state: ImageState,
  more: { readonly latest_failed_version?: string } = {},
): Promise<void> {
  const before = await transaction
    .selectFrom('images')
    .select('state')
    .where('image_arn', '=', imageArn)
    .executeTakeFirst();
  if (before === undefined) return;
  await transaction
    .updateTable('images')
    .set({ state, updated_at: now, ...more })
    .where('image_arn', '=', imageArn)
    .execute();
  emit(now, ...changes(imageChange(imageArn), before.state, state, null));
}

/** Changes a version's state, its status or both, and tells of each that is another one than before. */
export async function moveVersion(
  { transaction, emit, now }: Moment,
  version: VersionKey,
  to: {
    readonly state?: ImageVersionState;
    readonly status?: ImageVersionStatus;
    readonly state_reason?: string | null;
    readonly condition?: VersionCondition | null;
  },
): Promise<void> {
  const key = [version.imageArn, versionNumber(version.imageVersion)] as const;
  const before = await transaction
    .selectFrom('image_versions')
    .select(['state', 'status', 'condition'])
    .where('image_arn', '=', key[0])
    .where('version', '=', key[1])
    .executeTakeFirst();
  if (before === undefined) return;
  await transaction
    .updateTable('image_versions')
    .set({ ...to, updated_at: now })
    .where('image_arn', '=', key[0])
    .where('version', '=', key[1])
    .execute();
  const reason = to.state_reason ?? null;
  emit(
    now,
    ...changes(versionChange(version), before.state, to.state ?? before.state, reason),
    ...changes(versionChange(version), before.status, to.status ?? before.status, null),
    ...changes(versionChange(version), ...conditionsOf(before.condition, to.condition), reason),
  );
}

function conditionsOf(before: string | null, after: string | null | undefined): [string, string] {
  const whole = 'WHOLE';
  return [before ?? whole, (after === undefined ? before : after) ?? whole];
}

/** Changes a build's state, and tells of it where it is another one than before. */
export async function moveBuild(
  { transaction, emit, now }: Moment,
  build: ImageBuild,
  state: ImageBuildState,
  result: { readonly reason: string | null; readonly sizes: SnapshotSizes | null } = {
    reason: null,
    sizes: null,
  },
): Promise<void> {
  const before = await transaction
    .selectFrom('image_builds')
    .select('state')
    .where('build_id', '=', build.buildId)
    .executeTakeFirst();
  if (before === undefined) return;
  await transaction
    .updateTable('image_builds')
    .set({
      state,
      state_reason: result.reason,
      snapshot_sizes: result.sizes === null ? null : JSON.stringify(result.sizes),
    })
    .where('build_id', '=', build.buildId)
    .execute();
  emit(now, ...changes(buildChange(build), before.state, state, result.reason));
}

type Subject = Omit<StateChange, 'from' | 'to' | 'reason'>;

export function imageChange(imageArn: string): Subject {
  return { subject: 'image', microvmId: null, imageArn, imageVersion: null, buildId: null };
}

export function versionChange({ imageArn, imageVersion }: VersionKey): Subject {
  return { subject: 'image-version', microvmId: null, imageArn, imageVersion, buildId: null };
}

export function buildChange({ imageArn, imageVersion, buildId }: ImageBuild): Subject {
  return { subject: 'image-build', microvmId: null, imageArn, imageVersion, buildId };
}

function changes(subject: Subject, from: string, to: string, reason: string | null): readonly StateChange[] {
  return from === to ? [] : [{ ...subject, from, to, reason }];
}
