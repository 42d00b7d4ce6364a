import { parseArtifactUri } from '../blobs/artifact-source.ts';
import {
  hookPortRequired,
  invalidArtifactUri,
  invalidEnvironmentVariable,
  managedImageVersionUnavailable,
  memorySizeOutOfBounds,
  readyHookRequired,
  reservedEnvironmentVariable,
  unsupportedMemorySize,
} from '../errors.ts';
import { managedBaseImageVersions, managedConnectorArn } from '../model/arn.ts';
import type { Hooks, ImageConfiguration } from '../model/image.ts';
import type { Limits } from '../model/limits.ts';
import { type KnownConnectors, resolveEgress } from '../network/connectors/resolve-connectors.ts';
import type { ImageInput } from './image-service.ts';

/** The managed base, in whatever region a template names it. */
const managedBase = /^arn:aws[a-z-]*:lambda:[a-z0-9-]+:aws:microvm-image:al2023-1$/;
/** `AWS_REGION` is recorded; the others are those the platform itself sets (spec section 3.6). */
const reservedVariable = /^(?:AWS_REGION|AWS_LAMBDA_MICROVM_.*)$/;

/**
 * Checks what the shape of a request cannot say and fills in what it leaves out (spec sections 1.5 and 3).
 * @throws {ServiceError} the first rule broken, in the service's words
 */
export function resolveConfiguration(
  input: ImageInput,
  limits: Limits,
  region: string,
  connectors: KnownConnectors,
): ImageConfiguration {
  if (parseArtifactUri(input.codeArtifact.uri) === undefined) throw invalidArtifactUri();
  const minimumMemoryInMiB = input.resources?.[0]?.minimumMemoryInMiB ?? limits.defaultMemoryMib;
  checkMemory(minimumMemoryInMiB, input.baseImageArn, limits);
  checkHooks(input.hooks);
  checkEnvironment(input.environmentVariables ?? {});
  const baseImageVersion = resolveBaseVersion(input);
  const internet = [managedConnectorArn(region, 'INTERNET_EGRESS')];
  const egressNetworkConnectors = resolveEgress(input.egressNetworkConnectors, internet, connectors);
  return {
    baseImageArn: input.baseImageArn,
    baseImageVersion,
    buildRoleArn: input.buildRoleArn,
    description: input.description ?? null,
    codeArtifact: input.codeArtifact,
    logging: input.logging ?? null,
    egressNetworkConnectors,
    cpuConfigurations: input.cpuConfigurations ?? null,
    minimumMemoryInMiB,
    additionalOsCapabilities: input.additionalOsCapabilities ?? null,
    hooks: input.hooks ?? null,
    environmentVariables: input.environmentVariables ?? null,
  };
}

function checkMemory(requested: number, baseImageArn: string, limits: Limits): void {
  if (limits.memorySizesMib !== undefined) {
    if (!limits.memorySizesMib.includes(requested)) {
      throw unsupportedMemorySize(requested, baseImageArn, limits.memorySizesMib);
    }
    return;
  }
  const { minimumMemoryMib, maximumMemoryMib } = limits;
  if (!Number.isInteger(requested) || requested < minimumMemoryMib || requested > maximumMemoryMib) {
    throw memorySizeOutOfBounds(requested, minimumMemoryMib, maximumMemoryMib);
  }
}

function checkHooks(hooks: Hooks | null | undefined): void {
  const { run, resume, suspend, terminate } = hooks?.microvmHooks ?? {};
  const { ready, validate } = hooks?.microvmImageHooks ?? {};
  const lifecycle = [run, resume, suspend, terminate].includes('ENABLED');
  if (lifecycle && ready !== 'ENABLED') throw readyHookRequired();
  const any = lifecycle || ready === 'ENABLED' || validate === 'ENABLED';
  if (any && hooks?.port === undefined) throw hookPortRequired();
}

function checkEnvironment(variables: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(variables)) {
    if (reservedVariable.test(key)) throw reservedEnvironmentVariable(key);
    if (/[=\0]/.test(key) || value.includes('\0')) throw invalidEnvironmentVariable(key);
  }
}

/** The version as the service echoes it: sent as `1`, shown as `1.0` (spec section 2). */
function resolveBaseVersion(input: ImageInput): string {
  const [newest] = managedBaseImageVersions;
  const version = input.baseImageVersion ?? newest;
  const known = managedBaseImageVersions.some((candidate) => candidate === version);
  if (!known || !managedBase.test(input.baseImageArn)) {
    throw managedImageVersionUnavailable(input.baseImageArn, version);
  }
  return `${version}.0`;
}
