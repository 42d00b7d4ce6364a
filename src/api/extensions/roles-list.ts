import { defineOperation } from '../operation.ts';
import { structure } from '../shapes/shape.ts';
import { roleToWire } from './roles.ts';

/** The roles that have a policy, with it. */
export const listRolePolicies = defineOperation({
  name: 'ListRolePolicies',
  method: 'GET',
  path: '/dormouse/v1/roles',
  status: 200,
  input: structure({}),
  async handle(_input, { api }) {
    return { roles: (await api.services.rolePolicies.list()).map(roleToWire) };
  },
});
