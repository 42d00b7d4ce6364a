import { ServiceError, validation } from '../errors.ts';
import { type Denial, notAllowed } from './authorization/access.ts';
import type { Principal } from './sigv4/credentials.ts';

/** Refusals the API makes by itself, before a service is asked. */

/** Text of a denial (spec section 1.5). */
export function accessDenied(principal: Principal, denial: Denial): ServiceError {
  const { action, resource, reason } = denial;
  return new ServiceError(
    'AccessDeniedException',
    `User: ${principal.arn} is not authorized to perform: ${action} on resource: ${resource} ${reason}`,
  );
}

/** Denial of what belongs to another account or to nobody, whatever the caller's policy. */
export function foreignResource(principal: Principal, operation: string, resource: string): ServiceError {
  const action = `lambda:${operation}`;
  return accessDenied(principal, { action, resource, reason: notAllowed(action) });
}

/** Wording unrecorded. */
export function unknownOperation(method: string, path: string): ServiceError {
  return new ServiceError(
    'UnknownOperationException',
    `No operation answers ${method} ${path.slice(0, 256)}`,
  );
}

/** Wording unrecorded. */
export function reversedPortRange(startPort: number, endPort: number): ServiceError {
  return validation(
    `The start port ${startPort} of a port range must not be greater than its end port ${endPort}.`,
  );
}

/** Wording unrecorded. */
export function taggedResourceNotFound(resource: string): ServiceError {
  return new ServiceError('ResourceNotFoundException', `Resource not found: ${resource}`, {
    members: { resourceId: null, resourceType: null },
  });
}
