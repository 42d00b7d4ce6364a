import { ServiceError, validation } from '../errors.ts';
import type { Principal } from './sigv4/credentials.ts';

/** Refusals the API makes by itself, before a service is asked. */

/** Text of a denial (spec section 1.5). */
export function accessDenied(principal: Principal, action: string, resource: string): ServiceError {
  return new ServiceError(
    'AccessDeniedException',
    `User: ${principal.arn} is not authorized to perform: lambda:${action} on resource: ${resource} ` +
      `because no identity-based policy allows the lambda:${action} action`,
  );
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
