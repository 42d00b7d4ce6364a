import type { Operation } from '../operation.ts';
import { createMicrovmAuthToken } from './create-microvm-auth-token.ts';
import { createMicrovmImage } from './create-microvm-image.ts';
import { createMicrovmShellAuthToken } from './create-microvm-shell-auth-token.ts';
import { createNetworkConnector } from './create-network-connector.ts';
import { deleteMicrovmImage } from './delete-microvm-image.ts';
import { deleteMicrovmImageVersion } from './delete-microvm-image-version.ts';
import { deleteNetworkConnector } from './delete-network-connector.ts';
import { getMicrovm } from './get-microvm.ts';
import { getMicrovmImage } from './get-microvm-image.ts';
import { getMicrovmImageBuild } from './get-microvm-image-build.ts';
import { getMicrovmImageVersion } from './get-microvm-image-version.ts';
import { getNetworkConnector } from './get-network-connector.ts';
import { listManagedMicrovmImageVersions } from './list-managed-microvm-image-versions.ts';
import { listManagedMicrovmImages } from './list-managed-microvm-images.ts';
import { listMicrovmImageBuilds } from './list-microvm-image-builds.ts';
import { listMicrovmImageVersions } from './list-microvm-image-versions.ts';
import { listMicrovmImages } from './list-microvm-images.ts';
import { listMicrovms } from './list-microvms.ts';
import { listNetworkConnectors } from './list-network-connectors.ts';
import { listTags } from './list-tags.ts';
import { resumeMicrovm } from './resume-microvm.ts';
import { runMicrovm } from './run-microvm.ts';
import { suspendMicrovm } from './suspend-microvm.ts';
import { tagResource } from './tag-resource.ts';
import { terminateMicrovm } from './terminate-microvm.ts';
import { untagResource } from './untag-resource.ts';
import { updateMicrovmImage } from './update-microvm-image.ts';
import { updateMicrovmImageVersion } from './update-microvm-image-version.ts';
import { updateNetworkConnector } from './update-network-connector.ts';

/** Every operation of the service's own API; the router is made of this table. */
export const operations: readonly Operation[] = [
  createMicrovmAuthToken,
  createMicrovmImage,
  createMicrovmShellAuthToken,
  deleteMicrovmImage,
  deleteMicrovmImageVersion,
  getMicrovm,
  getMicrovmImage,
  getMicrovmImageBuild,
  getMicrovmImageVersion,
  listManagedMicrovmImageVersions,
  listManagedMicrovmImages,
  listMicrovmImageBuilds,
  listMicrovmImageVersions,
  listMicrovmImages,
  listMicrovms,
  listTags,
  resumeMicrovm,
  runMicrovm,
  suspendMicrovm,
  tagResource,
  terminateMicrovm,
  untagResource,
  updateMicrovmImage,
  updateMicrovmImageVersion,
  createNetworkConnector,
  deleteNetworkConnector,
  getNetworkConnector,
  listNetworkConnectors,
  updateNetworkConnector,
];
