import { parseArtifactUri } from '../../blobs/artifact-source.ts';
import { ServiceError } from '../../errors.ts';
import { imageArn, managedConnectorArn } from '../../model/arn.ts';
import { resolveImage, resolveImageToRun } from '../image-identifier.ts';
import type { Call } from '../operation.ts';
import { findDenial, type Requirement } from './access.ts';

/** What an operation is called, and where it is found. */
export interface NamedOperation {
  readonly name: string;
  readonly path: string;
}

/** Input that passed every constraint. */
type Input = Readonly<Record<string, unknown>>;
type Tags = Readonly<Record<string, string>>;

/**
 * All that a request of the REST-JSON services needs to be allowed (spec section 8): the operation itself on its
 * resource, and passing on the network connectors and roles it names.
 * @throws {ServiceError} where the resource is named wrongly, or is not there to be judged by
 */
export async function requirementsOf(
  operation: NamedOperation,
  input: Input,
  call: Call,
): Promise<readonly Requirement[]> {
  const resource = await resourceOf(operation, input, call);
  const requestTags = tagsOf(input.tags ?? input.Tags);
  const own: Requirement = {
    action: actionOf(operation),
    resource,
    resourceTags: await resourceTags(resource, call),
    requestTags,
    tagKeys: [...Object.keys(requestTags), ...textsOf(input.TagKeys)],
  };
  const others = input.imageName === undefined ? [] : [await committedTo(own, String(input.imageName), call)];
  const connectors = await passedConnectors(operation, input, call);
  return [own, ...others, ...connectors, ...passedRoles(input), ...(await readArtifact(input, call))];
}

/** A version made of a microVM is added to an image that may be another than the microVM's. */
async function committedTo(own: Requirement, imageName: string, call: Call): Promise<Requirement> {
  const resource = imageArn(call.api.options.realm, imageName);
  return { ...own, resource, resourceTags: await resourceTags(resource, call) };
}

/** An extension's actions are Dormouse's own, so that no policy written for the service gives them away. */
export function actionOf({ name, path }: NamedOperation): string {
  return `${path.startsWith('/dormouse/') ? 'dormouse' : 'lambda'}:${name}`;
}

type Resolver = (value: string, call: Call, operation: NamedOperation) => string | Promise<string>;

/** The resource that a member of the input names. The first member there decides. */
const resolvers: Readonly<Record<string, Resolver>> = {
  // A microVM has no ARN: what may be done with it hangs on its image.
  microvmIdentifier: async (id, call) => (await call.api.services.microvms.get(id)).imageArn,
  imageIdentifier: (identifier, call, { name }) =>
    name === 'RunMicrovm' ? resolveImageToRun(identifier, call) : resolveImage(identifier, call, name),
  Resource: (arn) => arn,
  Identifier: async (identifier, call) => (await call.api.services.connectors.get(identifier)).arn,
  group: (group, { api }) => {
    const { region, accountId } = api.options.realm;
    return `arn:aws:logs:${region}:${accountId}:log-group:${group}`;
  },
  keyName: (name, { api }) => `arn:aws:iam::${api.options.realm.accountId}:user/${name}`,
  roleName: (name, { api }) => `arn:aws:iam::${api.options.realm.accountId}:role/${name}`,
  policyName: (name, { api }) => {
    const { region, accountId } = api.options.realm;
    return `arn:aws:lambda:${region}:${accountId}:egress-policy:${name}`;
  },
};

async function resourceOf(operation: NamedOperation, input: Input, call: Call): Promise<string> {
  const { name, path } = operation;
  if (name === 'CreateMicrovmImage') return imageArn(call.api.options.realm, String(input.name));
  // The service's lists are allowed as a whole or not at all; the tags of a resource are no such list.
  if (!path.startsWith('/dormouse/') && name.startsWith('List') && name !== 'ListTags') return '*';
  for (const [member, resolve] of Object.entries(resolvers)) {
    const value = input[member];
    if (typeof value === 'string') return await resolve(value, call, operation);
  }
  return '*';
}

/** Every caller of RunMicrovm needs to pass connectors on, even the default ones (spec section 8). */
async function passedConnectors(
  { name }: NamedOperation,
  input: Input,
  call: Call,
): Promise<readonly Requirement[]> {
  const { region } = call.api.options.realm;
  const isRun = name === 'RunMicrovm';
  const ingress =
    input.ingressNetworkConnectors ?? (isRun ? [managedConnectorArn(region, 'HTTP_INGRESS')] : []);
  const egress =
    input.egressNetworkConnectors ?? (isRun ? [managedConnectorArn(region, 'INTERNET_EGRESS')] : []);
  return await Promise.all(
    [...textsOf(ingress), ...textsOf(egress)].map(async (resource) => ({
      action: 'lambda:PassNetworkConnector',
      resource,
      resourceTags: await resourceTags(resource, call),
    })),
  );
}

function passedRoles(input: Input): readonly Requirement[] {
  return ['buildRoleArn', 'executionRoleArn'].flatMap((member) => {
    const role = input[member];
    return typeof role === 'string' ? [{ action: 'iam:PassRole', resource: role }] : [];
  });
}

/** The build reads the artifact for the caller, who has to be allowed to, unless the build's role is. */
async function readArtifact(
  { codeArtifact, buildRoleArn }: Input,
  call: Call,
): Promise<readonly Requirement[]> {
  const isArtifact = typeof codeArtifact === 'object' && codeArtifact !== null && 'uri' in codeArtifact;
  const place = isArtifact ? parseArtifactUri(String(codeArtifact.uri)) : undefined;
  if (place === undefined) return [];
  const requirement = { action: 's3:GetObject', resource: `arn:aws:s3:::${place.bucket}/${place.key}` };
  const arn = String(buildRoleArn);
  const permissions = await call.api.services.rolePolicies.permissionsOf(arn);
  const role = { permissions, principal: { ...call.principal, arn } };
  return findDenial(role, [requirement]) === undefined ? [] : [requirement];
}

/** Tags of the resource as it is now; none for one that is not there or cannot have any. */
async function resourceTags(arn: string, call: Call): Promise<Tags> {
  const { images, connectors } = call.api.services;
  const [, , , , account, kind] = arn.split(':');
  if (account !== call.api.options.realm.accountId) return {};
  try {
    if (kind === 'microvm-image') return (await images.get(arn)).tags;
    if (kind === 'network-connector') return await connectors.tags(arn);
    return {};
  } catch (error) {
    if (error instanceof ServiceError && error.code === 'ResourceNotFoundException') return {};
    throw error;
  }
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

function tagsOf(value: unknown): Tags {
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}
