import { ServiceError, validation } from '../errors.ts';

/** Extension. */
export function roleNotFound(name: string): ServiceError {
  return new ServiceError('ResourceNotFoundException', `No policy of a role found: ${name}`, {
    members: { resourceId: null, resourceType: null },
  });
}

/** Extension. */
export function tooManyRoles(most: number): ServiceError {
  return validation(`There are ${most} roles with a policy already, the most there can be`);
}
