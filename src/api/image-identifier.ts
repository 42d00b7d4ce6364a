import { invalidArnFormat, malformedArn, type ServiceError } from '../errors.ts';
import { imageArn } from '../model/arn.ts';
import { foreignResource } from './errors.ts';
import type { Call } from './operation.ts';

const imageName = /^[a-zA-Z0-9-_]{1,64}$/;

/**
 * The ARN of the image a request names. The service takes ARNs only; a bare name is an extension of the
 * `relaxed` profile.
 * @throws {ServiceError} `Invalid ARN format: …`, or AccessDenied for an ARN of another account, of a managed
 * image or in slash form (spec section 1.5)
 */
export function resolveImage(identifier: string, call: Call, action: string): string {
  return resolve(identifier, call, action, invalidArnFormat);
}

/** As {@link resolveImage}, with RunMicrovm's own wording for what is not an ARN. */
export function resolveImageToRun(identifier: string, call: Call): string {
  return resolve(identifier, call, 'RunMicrovm', (text) =>
    text.startsWith('arn:') ? invalidArnFormat(text) : malformedArn(),
  );
}

function resolve(
  identifier: string,
  call: Call,
  action: string,
  malformed: (identifier: string) => ServiceError,
): string {
  const { realm, profile } = call.api.options;
  if (!identifier.startsWith('arn:')) {
    if (profile === 'aws' || !imageName.test(identifier)) throw malformed(identifier);
    return imageArn(realm, identifier);
  }
  const match = /^arn:[a-z0-9-]+:lambda:[a-z0-9-]*:([a-z0-9]*):microvm-image([:/])(.+)$/.exec(identifier);
  if (match === null) throw malformed(identifier);
  const [, account, separator] = match;
  if (account !== realm.accountId || separator === '/')
    throw foreignResource(call.principal, action, identifier);
  return identifier;
}

/** Builds accept `1` for version `1.0` (spec section 2). */
export function normalizeVersion(version: string): string {
  return /^\d{1,9}$/.test(version) ? `${version}.0` : version;
}
