import { managedBaseImageArn, managedBaseImageVersions } from '../../model/arn.ts';

/** The managed base image and its versions, newest first (spec sections 1.4 and 2). Times in epoch milliseconds. */

const created = Date.UTC(2026, 5, 17);
const updated = Date.UTC(2026, 6, 21);

export interface ManagedImage {
  readonly imageArn: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export function managedImages(region: string): readonly ManagedImage[] {
  return [{ imageArn: managedBaseImageArn(region), createdAt: created, updatedAt: updated }];
}

export interface ManagedImageVersion extends ManagedImage {
  readonly imageVersion: string;
}

export function managedImageVersions(region: string): readonly ManagedImageVersion[] {
  return managedBaseImageVersions.map((imageVersion) => {
    const at = imageVersion === '0' ? created : updated;
    return { imageArn: managedBaseImageArn(region), imageVersion, createdAt: at, updatedAt: at };
  });
}
