import {
  type Image,
  type ImageBuild,
  type ImageBuildState,
  type ImageConfiguration,
  type ImageState,
  type ImageVersion,
  type ImageVersionState,
  type ImageVersionStatus,
  type SnapshotSizes,
  type VersionCondition,
  versionLabel,
} from '../model/image.ts';
import type { ImageBuildsTable, ImagesTable, ImageVersionsTable } from './schema.ts';

/** Number behind a label, `"1"` and `"1.0"` alike; one that no version has when it is no label. */
export function versionNumber(label: string): number {
  return Number(/^(\d{1,9})(?:\.0)?$/.exec(label)?.[1] ?? -1);
}

export function imageToRow(image: Image): ImagesTable {
  return {
    image_arn: image.imageArn,
    id: image.id,
    name: image.name,
    state: image.state,
    latest_active_version: image.latestActiveImageVersion,
    latest_failed_version: image.latestFailedImageVersion,
    next_version: image.nextVersion,
    tags: JSON.stringify(image.tags),
    created_at: image.createdAt,
    updated_at: image.updatedAt,
  };
}

/** The store is ours and checked on the way in, so its JSON and its enumerations are taken as they stand. */
export function imageFromRow(row: ImagesTable): Image {
  return {
    id: row.id,
    imageArn: row.image_arn,
    name: row.name,
    state: row.state as ImageState,
    latestActiveImageVersion: row.latest_active_version,
    latestFailedImageVersion: row.latest_failed_version,
    nextVersion: row.next_version,
    tags: JSON.parse(row.tags) as Record<string, string>,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

export function versionToRow(version: ImageVersion): ImageVersionsTable {
  return {
    image_arn: version.imageArn,
    version: versionNumber(version.imageVersion),
    state: version.state,
    status: version.status,
    state_reason: version.stateReason,
    condition: version.condition,
    configuration: JSON.stringify(version.configuration),
    created_at: version.createdAt,
    updated_at: version.updatedAt,
  };
}

export function versionFromRow(row: ImageVersionsTable): ImageVersion {
  return {
    imageArn: row.image_arn,
    imageVersion: versionLabel(row.version),
    state: row.state as ImageVersionState,
    status: row.status as ImageVersionStatus,
    stateReason: row.state_reason,
    // Absent in a store that an earlier version of the server left and that is only read.
    condition: (row.condition as VersionCondition | null | undefined) ?? null,
    configuration: JSON.parse(row.configuration) as ImageConfiguration,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

export function buildToRow(build: ImageBuild): ImageBuildsTable {
  return {
    build_id: build.buildId,
    image_arn: build.imageArn,
    version: versionNumber(build.imageVersion),
    state: build.buildState,
    architecture: build.architecture,
    state_reason: build.stateReason,
    snapshot_sizes: build.snapshotBuild === null ? null : JSON.stringify(build.snapshotBuild),
    created_at: build.createdAt,
  };
}

export function buildFromRow(row: ImageBuildsTable): ImageBuild {
  return {
    imageArn: row.image_arn,
    imageVersion: versionLabel(row.version),
    buildId: row.build_id,
    buildState: row.state as ImageBuildState,
    architecture: row.architecture as ImageBuild['architecture'],
    stateReason: row.state_reason,
    snapshotBuild: row.snapshot_sizes === null ? null : (JSON.parse(row.snapshot_sizes) as SnapshotSizes),
    createdAt: row.created_at,
  };
}
