import { defineOperation } from '../operation.ts';
import { inPath, structure } from '../shapes/shape.ts';
import { roleName } from './roles.ts';

/** Takes the policy from a role, which then may do nothing. */
export const deleteRolePolicy = defineOperation({
  name: 'DeleteRolePolicy',
  method: 'DELETE',
  path: '/dormouse/v1/roles/{roleName}',
  status: 204,
  input: structure({ roleName: inPath(roleName) }),
  async handle({ roleName: name }, { api }) {
    await api.services.rolePolicies.delete(name);
    return undefined;
  },
});
