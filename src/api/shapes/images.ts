import {
  clientToken,
  connectorArn,
  identifier,
  kmsKey,
  logging,
  nonBlank,
  paging,
  roleArn,
  tags,
  version,
} from './common.ts';
import {
  inPath,
  inQuery,
  integer,
  list,
  map,
  oneOf,
  optional,
  required,
  structure,
  text,
  union,
} from './shape.ts';

/** Requests about images, versions and builds (spec section 1.2). */

/** X86_64 is an extension: the service builds for ARM_64 only. */
const architecture = oneOf<'ARM_64' | 'X86_64'>(['ARM_64'], { relaxed: ['X86_64'] });
const hookSwitch = oneOf(['DISABLED', 'ENABLED']);
const runtimeHookSeconds = integer({ min: 1, max: 60 });
const buildHookSeconds = integer({ min: 1, max: 3600 });

const hooks = structure({
  port: optional(integer({ min: 1, max: 65_535 })),
  microvmHooks: optional(
    structure({
      run: optional(hookSwitch),
      runTimeoutInSeconds: optional(runtimeHookSeconds),
      resume: optional(hookSwitch),
      resumeTimeoutInSeconds: optional(runtimeHookSeconds),
      suspend: optional(hookSwitch),
      suspendTimeoutInSeconds: optional(runtimeHookSeconds),
      terminate: optional(hookSwitch),
      terminateTimeoutInSeconds: optional(runtimeHookSeconds),
    }),
  ),
  microvmImageHooks: optional(
    structure({
      ready: optional(hookSwitch),
      readyTimeoutInSeconds: optional(buildHookSeconds),
      validate: optional(hookSwitch),
      validateTimeoutInSeconds: optional(buildHookSeconds),
    }),
  ),
});

/** In the order the service reports missing members in (spec section 1.5). */
const configuration = {
  baseImageArn: required(nonBlank),
  baseImageVersion: optional(version),
  codeArtifact: required(union({ uri: optional(nonBlank) })),
  buildRoleArn: required(roleArn),
  description: optional(text()),
  logging: optional(logging),
  egressNetworkConnectors: optional(list(connectorArn, { min: 0, max: 1 })),
  cpuConfigurations: optional(list(structure({ architecture: required(architecture) }))),
  resources: optional(list(structure({ minimumMemoryInMiB: required(integer()) }), { min: 0, max: 1 })),
  additionalOsCapabilities: optional(list(oneOf(['ALL']))),
  hooks: optional(hooks),
  environmentVariables: optional(
    map(text({ min: 1, max: 256, pattern: '[^\\s]+' }), text({ min: 0, max: 4096, sensitive: true }), {
      min: 0,
      max: 50,
    }),
  ),
  kmsKeyIdentifier: optional(kmsKey),
};

export const createImage = structure({
  ...configuration,
  name: required(text({ min: 1, max: 64, pattern: '[a-zA-Z0-9-_]+' })),
  tags: optional(tags),
  clientToken: optional(clientToken),
});

export const updateImage = structure({
  ...configuration,
  imageIdentifier: inPath(identifier),
  clientToken: optional(clientToken),
});

export const imageOnly = structure({ imageIdentifier: inPath(identifier) });

export const listImages = structure({ ...paging, nameFilter: inQuery(optional(nonBlank)) });

const versionPath = { imageIdentifier: inPath(identifier), imageVersion: inPath(nonBlank) };

export const versionOnly = structure(versionPath);

export const listVersions = structure({ ...paging, imageIdentifier: inPath(identifier) });

export const updateVersion = structure({
  ...versionPath,
  status: required(oneOf(['ACTIVE', 'INACTIVE'])),
});

export const listBuilds = structure({
  ...paging,
  ...versionPath,
  architecture: inQuery(optional(architecture)),
  chipset: inQuery(optional(oneOf<'GRAVITON' | 'GENERIC'>(['GRAVITON'], { relaxed: ['GENERIC'] }))),
  chipsetGeneration: inQuery(optional(nonBlank)),
});

export const getBuild = structure({ ...versionPath, buildId: inPath(nonBlank) });

export const listManagedImages = structure(paging);

export const listManagedVersions = structure({ ...paging, imageIdentifier: inPath(identifier) });
