import { createHash } from 'node:crypto';
import type { ImageBuild, SnapshotSizes } from '../../model/image.ts';
import type { Profile } from '../../model/limits.ts';
import { toSeconds } from './time.ts';

/** One build as clients see it. */
export interface PresentedBuild {
  readonly buildId: string;
  readonly chipset: string;
  readonly chipsetGeneration: string;
  readonly architecture: string;
  readonly build: ImageBuild;
}

/**
 * How a build is shown. The service snapshots each version on two processor generations and so lists two
 * builds (spec section 1.4). There is one real build here: the `aws` profile shows it twice, as Graviton 4 and
 * 3, for clients that count on both; `relaxed` shows it once and as what it is.
 */
export function presentBuild(build: ImageBuild, profile: Profile): readonly PresentedBuild[] {
  if (profile === 'relaxed') {
    const { buildId, architecture } = build;
    return [{ buildId, architecture, chipset: 'GENERIC', chipsetGeneration: '1', build }];
  }
  const graviton = { architecture: 'ARM_64', chipset: 'GRAVITON', build };
  return [
    { ...graviton, buildId: build.buildId, chipsetGeneration: '4' },
    { ...graviton, buildId: secondBuildId(build.buildId), chipsetGeneration: '3' },
  ];
}

export function buildItemToWire(presented: PresentedBuild): object {
  const { build } = presented;
  return {
    imageArn: build.imageArn,
    imageVersion: build.imageVersion,
    buildId: presented.buildId,
    buildState: build.buildState,
    architecture: presented.architecture,
    chipset: presented.chipset,
    chipsetGeneration: presented.chipsetGeneration,
    stateReason: build.stateReason,
    terminationReasonCode: null,
    createdAt: toSeconds(build.createdAt),
  };
}

export function buildToWire(presented: PresentedBuild): object {
  const { snapshotBuild } = presented.build;
  return {
    ...buildItemToWire(presented),
    snapshotBuild: snapshotBuild === null ? null : sizesToWire(snapshotBuild),
  };
}

function sizesToWire(sizes: SnapshotSizes): object {
  return {
    memorySnapshotSizeInBytes: sizes.memorySnapshotSizeInBytes ?? null,
    codeInstallSizeInBytes: sizes.codeInstallSizeInBytes ?? null,
    diskSnapshotSizeInBytes: sizes.diskSnapshotSizeInBytes ?? null,
  };
}

/** A UUID that is always the same for the same build. */
function secondBuildId(buildId: string): string {
  const hex = createHash('sha256').update(`second build of ${buildId}`).digest('hex');
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 3) | 8).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
}
